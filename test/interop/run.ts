// npm run interop: independent clients against the real broker.
//
//   --target mosquitto       against Debian's mosquitto instead (proves the checks)
//   --target HOST:PORT       against a broker that already runs (plain TCP, anonymous)
//   --amqp HOST:PORT         where that broker speaks AMQP 1.0; its MQTT is then not looked at
//   --suites DIR             also the public suites checked out there (paho.mqtt.testing, testmqtt, est, californium 3.14.0);
//                            clients of DTLS that must be built are kept there, too
//   --only TEXT              only checks whose name contains it
//   --port-offset N          first of our ports is 1883 + N (default 21000)

import { parseArgs } from 'node:util';

import { amqpChecks } from './amqp/amqp-checks.ts';
import { Checks } from './checks.ts';
import { coapChecks } from './coap/coap-checks.ts';
import { plugtestChecks } from './coap/plugtests.ts';
import { compiledClientChecks } from './compiled-clients.ts';
import { dtlsChecks } from './dtls/dtls-checks.ts';
import { shiftedPort } from '../../src/config/overrides.ts';
import { estChecks } from './est.ts';
import { browserChecks } from './http/browser.ts';
import { httpClientChecks } from './http/http-clients.ts';
import { httpCurlChecks } from './http-curl.ts';
import { startHeliograph } from './heliograph-target.ts';
import { mosquittoChecks } from './mosquitto-clients.ts';
import { stompChecks } from './stomp/stomp-checks.ts';
import { startMosquitto } from './mosquitto-target.ts';
import { mqttJsChecks } from './mqttjs.ts';
import { newDeviceChecks } from './new-device.ts';
import { pahoPythonChecks } from './paho-python.ts';
import { revocationChecks } from './revocation.ts';
import { suiteChecks } from './suites.ts';
import { requireTools } from './tools.ts';

import type { Endpoint, Target } from './target.ts';

const overallLimitMs = 600_000;

async function startTarget(name: string | undefined, amqp: string | undefined, portOffset: number): Promise<Target> {
  if (name === 'mosquitto') return startMosquitto(1883 + portOffset);
  if (name === undefined) return startHeliograph(portOffset);
  const endpoint = (text: string): Endpoint => ({ host: text.split(':')[0]!, port: Number(text.split(':')[1]) });
  return {
    name,
    tcp: endpoint(name),
    ...(amqp === undefined ? {} : { amqp: endpoint(amqp) }),
    tls: undefined,
    ws: undefined,
    wss: undefined,
    tlsFacts: undefined,
    credentials: undefined,
    crash: undefined,
    stop: async () => {},
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      target: { type: 'string' },
      amqp: { type: 'string' },
      suites: { type: 'string' },
      only: { type: 'string' },
      'port-offset': { type: 'string', default: '21000' },
    },
  });
  const limit = setTimeout(() => {
    console.log(`FAIL  not done within ${overallLimitMs / 1000} s`);
    process.exit(1);
  }, overallLimitMs);
  await requireTools();
  const checks = new Checks(values.only);
  const portOffset = Number(values['port-offset']);
  const target = await startTarget(values.target, values.amqp, portOffset);
  console.log(`target: ${target.name}`);
  // The suites mostly wait, each on a broker of its own, so they run beside the rest.
  const suites =
    values.target === undefined
      ? Promise.all([
          suiteChecks(checks, values.suites, portOffset),
          plugtestChecks(checks, values.suites),
          dtlsChecks(checks, values.suites),
        ])
      : Promise.resolve();
  try {
    if (target.amqp !== undefined) await amqpChecks(checks, { ...target, amqp: target.amqp });
    if (values.amqp !== undefined) return ended(checks);
    const { stomp, stomps } = target;
    if (stomp !== undefined && stomps !== undefined) await stompChecks(checks, { ...target, stomp, stomps });
    await newDeviceChecks(checks, target);
    await mosquittoChecks(checks, target);
    await mqttJsChecks(checks, target);
    await pahoPythonChecks(checks, target);
    await estChecks(checks, target, values.suites);
    if (values.target === undefined) {
      const port = shiftedPort(8443, portOffset);
      await httpCurlChecks(checks, target, port);
      await httpClientChecks(checks, target, port);
      await browserChecks(checks, portOffset + 700);
    }
    // After the checks that crash the broker.
    await compiledClientChecks(checks, target);
    if (values.target === undefined) await revocationChecks(checks, portOffset + 400);
    if (values.target === undefined) await coapChecks(checks, portOffset + 600);
    await suites;
  } finally {
    await target.stop();
    clearTimeout(limit);
  }
  return ended(checks);
}

function ended(checks: Checks): number {
  if (checks.failures.length > 0) console.log(`failed: ${checks.failures.join('; ')}`);
  console.log(checks.summary());
  return checks.failed === 0 && checks.passed > 0 ? 0 : 1;
}

// Clients of failed checks may still hold sockets.
process.exit(
  await main().catch((error: unknown) => {
    console.log(`FAIL  ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }),
);
