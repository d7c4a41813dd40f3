// node bench/http-publish.ts [--seconds N]: what a publish by HTTP costs beside a bare Node server that reads the body and answers 202
// with the same headers. Both in processes of their own, one after the other, several times; wrk (Debian) asks over kept connections.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '4' }, rounds: { type: 'string', default: '3' } } });
const program = fileURLToPath(new URL('../bin/heliograph.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bench-http-'));
const portOffset = 33_000;
const ports = { bare: 40_999, broker: 8081 + portOffset };
const bytesPerBody = 64;

writeFileSync(
  join(folder, 'post.lua'),
  `wrk.method="POST"; wrk.body=string.rep("x",${bytesPerBody}); wrk.headers["Content-Type"]="application/octet-stream"\n`,
);
writeFileSync(
  join(folder, 'bare.mjs'),
  `import { createServer } from 'node:http';
createServer({ keepAliveTimeout: 0 }, (request, response) => {
  request.on('data', () => {});
  request.on('end', () => {
    response.writeHead(202, { 'X-Content-Type-Options': 'nosniff', 'Content-Length': 0 });
    response.end();
  });
}).listen(${ports.bare}, '127.0.0.1');
`,
);
writeFileSync(join(folder, 'broker.yaml'), `listeners:\n  plain: {kind: http-api, host: 127.0.0.1, port: 8081}\n`);

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, args, { stdio: 'ignore' });
}

/** Of all its threads, user and system; a tick is 10 ms on Linux. */
function cpuMs({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** CPU for one request, in µs, and requests a second. */
function measure(server: ChildProcess, port: number): { us: number; perSecond: number } {
  const before = cpuMs(server);
  const args = ['-t1', '-c50', `-d${values.seconds}s`, '-s', join(folder, 'post.lua'), `http://127.0.0.1:${port}/v1/topics/bench/http`];
  const { stdout, error } = spawnSync('wrk', args, { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`wrk does not run (apt-get install wrk): ${error.message}`);
  if (/Non-2xx/.test(stdout)) throw new Error(stdout);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  return { us: ((cpuMs(server) - before) * 1000) / requests, perSecond: requests / Number(values.seconds) };
}

const bare = start(join(folder, 'bare.mjs'));
const broker = start(
  program,
  'serve',
  '--dev',
  '--config',
  join(folder, 'broker.yaml'),
  '--data',
  join(folder, 'data'),
  '--port-offset',
  String(portOffset),
);
try {
  await sleep(5000);
  const ratios: number[] = [];
  for (let i = 0; i < Number(values.rounds); i++) {
    const [one, other] = [measure(bare, ports.bare), measure(broker, ports.broker)];
    ratios.push(other.us / one.us);
    const line = (name: string, { us, perSecond }: typeof one): string => `${name} ${us.toFixed(1)} µs, ${Math.round(perSecond)}/s`;
    console.log(`${line('bare', one)}; ${line('heliograph', other)}; ratio ${(other.us / one.us).toFixed(2)}`);
  }
  console.log(`median ratio: ${ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)]!.toFixed(2)}`);
} finally {
  bare.kill();
  broker.kill();
  await sleep(500);
  rmSync(folder, { recursive: true, force: true });
}
