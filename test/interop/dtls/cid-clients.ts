// Clients with Connection IDs (RFC 9146), which Debian 12 has not: mbedTLS and wolfSSL, built from the sources of later Debian releases.
// Each is skipped by name where it cannot be had.

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process.ts';

export type Built = { readonly program: string; readonly folder: string } | { readonly problem: string };

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const buildSeconds = '240';

/** ssl_client2 of mbedTLS 3.6 (trixie). */
export async function buildMbedTls(folder: string): Promise<Built> {
  const source = await debianSource(folder, 'trixie', 'mbedtls');
  if ('problem' in source) return source;
  return built(source.folder, join(source.folder, 'programs/ssl/ssl_client2'), [
    ['make', '-j2', 'lib'],
    ['make', '-j2', '-C', 'programs', 'ssl/ssl_client2'],
  ]);
}

/** The example client of wolfSSL 5.9 (sid); it reads its certificates from its own folder. */
export async function buildWolfSsl(folder: string): Promise<Built> {
  const source = await debianSource(folder, 'sid', 'wolfssl');
  if ('problem' in source) return source;
  const features = ['DTLS', 'DTLS13', 'DTLS_CID', 'PSK', 'AESCCM', 'EXAMPLES'].map((name) => `-DWOLFSSL_${name}=yes`);
  return built(source.folder, join(source.folder, 'out/examples/client/client'), [
    ['cmake', '-S', '.', '-B', 'out', '-DWOLFSSL_CRYPT_TESTS=no', ...features],
    ['make', '-j2', '-C', 'out', 'client'],
  ]);
}

async function built(folder: string, program: string, commands: readonly (readonly string[])[]): Promise<Built> {
  for (const command of commands) {
    const { code, output } = await run('timeout', [buildSeconds, 'nice', ...command], { cwd: folder });
    if (code !== 0) return { problem: `could not be built: ${output.trim().split('\n').at(-1)}` };
  }
  return { program, folder };
}

/** Unpacked, from the mirror this machine takes its packages from. What was fetched before is used again. */
async function debianSource(folder: string, release: string, name: string): Promise<{ folder: string } | { problem: string }> {
  const lists = join(folder, 'lists');
  await mkdir(join(lists, 'partial'), { recursive: true });
  if ((await tarballOf(folder, name)) === undefined) {
    const mirror = await debianMirror();
    if (mirror === undefined) return { problem: 'apt has no mirror of Debian' };
    const sources = join(folder, 'sources.list');
    await writeFile(sources, `deb-src [signed-by=${keyring}] ${mirror} ${release} main\n`);
    const settings = [`Dir::Etc::SourceList=${sources}`, 'Dir::Etc::SourceParts=/nonexistent', `Dir::State::Lists=${lists}`];
    const apt = settings.flatMap((setting) => ['-o', setting]);
    await run('timeout', ['60', 'apt-get', ...apt, 'update'], { cwd: folder });
    await run('timeout', ['60', 'apt-get', ...apt, 'source', '--download-only', name], { cwd: folder });
  }
  const tarball = await tarballOf(folder, name);
  if (tarball === undefined) return { problem: `apt-get has no sources of ${name} in ${release}` };
  const unpacked = join(folder, name);
  await mkdir(unpacked, { recursive: true });
  const { code } = await run('tar', ['xf', join(folder, tarball), '--strip-components=1', '-C', unpacked]);
  return code === 0 ? { folder: unpacked } : { problem: `${tarball} cannot be unpacked` };
}

async function tarballOf(folder: string, name: string): Promise<string | undefined> {
  return (await readdir(folder)).find((file) => file.startsWith(`${name}_`) && /\.orig\.tar\.\w+$/.test(file));
}

async function debianMirror(): Promise<string | undefined> {
  const { output } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)']);
  return output.split('\n').find((line) => /\/debian\/?$/.test(line.trim()));
}
