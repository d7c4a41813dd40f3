// Debian's Chromium without a window, and the pages that it opens: one script, by two origins, of which the broker knows one.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

export type Page = {
  /** Calls a function of page.js. */
  call<T>(name: string, facts: Readonly<Record<string, unknown>>): Promise<T>;
};

export type Browser = {
  /** Of an origin that `http.corsOrigins` names. */
  readonly known: Page;
  /** Of one that it does not name. */
  readonly stranger: Page;
  stop(): Promise<void>;
};

const require = createRequire(import.meta.url);
const options = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function openBrowser(): Promise<Browser> {
  const served = new Map([
    ['/', '<!doctype html><script src="/mqtt.js"></script><script src="/page.js"></script>'],
    ['/mqtt.js', await readFile(join(require.resolve('mqtt/package.json'), '../dist/mqtt.min.js'), 'utf8')],
    ['/page.js', await readFile(new URL('page.js', import.meta.url), 'utf8')],
  ]);
  const server = createServer(({ url = '' }, response) => {
    const text = served.get(url);
    const type = url === '/' ? 'text/html' : 'text/javascript';
    response.writeHead(text === undefined ? 404 : 200, { 'Content-Type': type }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const folder = await mkdtemp(join(tmpdir(), 'interop-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: '/usr/bin/chromium',
    args: options,
    // The broker's CA is its own, made with it.
    ignoreHTTPSErrors: true,
  });
  const open = async (origin: string): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(origin);
    return { call: <T>(name: string, facts: object): Promise<T> => page.evaluate<T>(`${name}(${JSON.stringify(facts)})`) };
  };
  return {
    known: await open(`http://localhost:${port}`),
    stranger: await open(`http://127.0.0.1:${port}`),
    async stop() {
      await context.close();
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
