// The programs that the checks need, installed where they are missing and we may.

import { run } from './process.ts';

const required = [
  { test: ['mosquitto_pub', '--help'], debian: 'mosquitto-clients' },
  { test: ['/usr/bin/python3', '-c', 'import paho.mqtt.client'], debian: 'python3-paho-mqtt' },
  { test: ['/usr/bin/python3', '-c', 'import proton'], debian: 'python3-qpid-proton' },
  { test: ['/usr/bin/python3', '-c', 'import stomp'], debian: 'python3-stomp' },
  { test: ['test', '-e', '/usr/include/proton/container.hpp'], debian: 'libqpid-proton-cpp12-dev' },
  { test: ['g++', '--version'], debian: 'g++' },
  { test: ['which', 'coap-client-openssl', 'coap-client-gnutls', 'coap-client-notls', 'coap-server-notls'], debian: 'libcoap3-bin' },
  { test: ['openssl', 'version'], debian: 'openssl' },
  { test: ['curl', '--version'], debian: 'curl' },
  { test: ['/usr/bin/chromium', '--version'], debian: 'chromium' },
  { test: ['/usr/bin/python3', '-c', 'import requests'], debian: 'python3-requests' },
  { test: ['gnutls-cli', '--version'], debian: 'gnutls-bin' },
] as const;

async function works(command: readonly string[]): Promise<boolean> {
  const { code, output } = await run(command[0]!, command.slice(1));
  return code === 0 || (code === 1 && /usage/i.test(output));
}

/** @throws Error naming what is missing and cannot be installed */
export async function requireTools(): Promise<void> {
  const missing: string[] = [];
  for (const tool of required) if (!(await works(tool.test))) missing.push(tool.debian);
  if (missing.length === 0) return;
  if (process.getuid?.() === 0) {
    console.log(`installing ${missing.join(', ')}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = async (): Promise<boolean> =>
      (await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env })).code === 0;
    if (!(await install())) {
      await run('apt-get', ['update'], { env });
      await install();
    }
  }
  for (const tool of required) {
    if (!(await works(tool.test))) throw new Error(`${tool.debian} is required: apt-get install ${tool.debian}`);
  }
}
