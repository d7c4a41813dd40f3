// The options of commands that connect to a broker as an MQTT client. See connection.ts for what they mean.

import { InvalidArgumentError, Option, type Command } from 'commander';
import { passwordVariable } from './access-options.ts';

export type ConnectionOptions = {
  readonly config?: string;
  readonly data?: string;
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly cafile?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly insecure?: boolean;
  readonly id?: string;
  readonly mqttVersion: '5' | '3.1.1' | '3.1';
  readonly keepalive: number;
};

const longestSeconds = 65_535;

export function withConnectionOptions(command: Command): Command {
  return command
    .option('--url <url>', 'broker: mqtt://host:port, mqtts://, ws:// or wss://host:port/path (default: the one on this machine)')
    .option('-h, --host <host>', 'broker, instead of --url')
    .option('-p, --port <n>', 'its port', wholeNumber(1, 65_535))
    .option('-u, --user <name>', 'sign in as this user')
    .option('-P, --password <text>', `its password; better in the environment variable ${passwordVariable}, or typed when asked`)
    .option('--cafile <file>', 'TLS: PEM file of the authorities to trust')
    .option('--cert <file>', "TLS: PEM file of this client's certificate, with its chain")
    .option('--key <file>', 'TLS: PEM file of its private key')
    .option('--insecure', 'TLS: accept any certificate; whoever is in between can read and change everything')
    .option('-i, --id <id>', 'client id (default: a new one)')
    .addOption(new Option('-V, --mqtt-version <version>', 'version of MQTT').choices(['5', '3.1.1', '3.1']).default('5'))
    .option('-k, --keepalive <seconds>', 'longest silence; 0: any', wholeNumber(0, longestSeconds), 60)
    .option('-c, --config <file>', "configuration that names the local broker's data directory")
    .option('-d, --data <dir>', 'data directory of the local broker: where it listens, and its authority (default: ./data)');
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
