// Brokers beside which AMQP 1.0 is measured: RabbitMQ as Debian has it, and Apache ActiveMQ Artemis from Maven.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Broker } from './brokers.ts';
import { binDirectory } from './generators.ts';
import { hasProgram } from './machine.ts';

const rabbitmqLibrary = '/usr/lib/rabbitmq/lib';

/** Its script of Debian would change to another user; the one beneath it does not. */
export function rabbitmq(): Broker | undefined {
  const folder = existsSync(rabbitmqLibrary) ? readdirSync(rabbitmqLibrary).find((name) => name.startsWith('rabbitmq_server-')) : undefined;
  if (folder === undefined) return undefined;
  const script = join(rabbitmqLibrary, folder, 'sbin', 'rabbitmq-server');
  return {
    name: 'rabbitmq',
    version: folder.slice('rabbitmq_server-'.length),
    onlyAmqp: true,
    amqp: {
      options: ['-u', 'guest:guest'],
      topic: ['-a', '/topic/bench.%d', '-A', '/topic/bench.%d'],
      queue: (name) => ({ sender: ['-a', `/queue/${name}`], receiver: ['-A', `/queue/${name}`] }),
      noSecond: 'it refuses receivers that settle second',
      exceedsCredit: true,
    },
    command(directory, { amqp, tls, mutual }) {
      const plugins = join(directory, 'enabled_plugins');
      writeFileSync(plugins, '[rabbitmq_amqp1_0].\n');
      const config = join(directory, 'rabbitmq.conf');
      const settings = [`listeners.tcp.1 = 127.0.0.1:${amqp}`, 'log.console = false', 'log.file.level = error'];
      writeFileSync(config, [...settings, 'vm_memory_high_watermark.relative = 0.6', 'disk_free_limit.absolute = 50MB', ''].join('\n'));
      const environment = {
        HOME: directory,
        // The script then becomes the broker, instead of starting it.
        RUNNING_UNDER_SYSTEMD: '1',
        RABBITMQ_NODENAME: 'bench@localhost',
        RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
        RABBITMQ_LOG_BASE: join(directory, 'log'),
        RABBITMQ_SCHEMA_DIR: join(directory, 'schema'),
        RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
        RABBITMQ_CONFIG_FILE: config,
        RABBITMQ_CONF_ENV_FILE: join(directory, 'none'),
        RABBITMQ_DIST_PORT: String(tls),
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
        ERL_EPMD_ADDRESS: '127.0.0.1',
        ERL_EPMD_PORT: String(mutual),
      };
      return ['env', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`), script];
    },
    // Erlang's name server, which it starts and leaves.
    cleanUp: ({ mutual }) => void spawnSync('epmd', ['-port', String(mutual), '-kill']),
  };
}

const artemisVersion = '2.40.0';

/** Its distribution, put into a directory that is not the project's. Without Java or Maven there is none. */
function artemisHome(): string | undefined {
  const home = join(binDirectory, `apache-artemis-${artemisVersion}`);
  const boot = join(home, 'lib', 'artemis-boot.jar');
  if (existsSync(boot)) return home;
  if (!hasProgram('java') || !hasProgram('mvn') || !hasProgram('jar')) return undefined;
  mkdirSync(binDirectory, { recursive: true });
  const artifact = `-Dartifact=org.apache.activemq:apache-artemis:${artemisVersion}:zip:bin`;
  const copied = spawnSync('mvn', ['-q', '-B', 'dependency:copy', artifact, `-DoutputDirectory=${binDirectory}`], { cwd: binDirectory });
  if (copied.status !== 0) return undefined;
  spawnSync('jar', ['xf', `apache-artemis-${artemisVersion}-bin.zip`], { cwd: binDirectory });
  spawnSync('chmod', ['+x', join(home, 'bin', 'artemis')]);
  return existsSync(boot) ? home : undefined;
}

/** With the journal of libaio where that is there, 4 GB of heap, and otherwise its defaults: it syncs before it accepts. */
export function artemis(): Broker | undefined {
  const home = artemisHome();
  if (home === undefined) return undefined;
  const journal = spawnSync('sh', ['-c', 'ldconfig -p | grep -q libaio.so.1']).status === 0 ? '--aio' : '--nio';
  return {
    name: 'artemis',
    version: artemisVersion,
    onlyAmqp: true,
    amqp: {
      options: [],
      topic: ['-k', 'topic', '-K', 'topic', '-a', 'bench.%d', '-A', 'bench.%d'],
      queue: (name) => ({ sender: ['-k', 'queue', '-a', name], receiver: ['-K', 'queue', '-A', name] }),
      noSecond: 'it answers that its receivers settle first',
    },
    command(directory, { amqp }) {
      const instance = join(directory, 'instance');
      if (!existsSync(instance)) {
        const without = ['web', 'hornetq-acceptor', 'mqtt-acceptor', 'stomp-acceptor', 'amqp-acceptor', 'autotune'].map(
          (name) => `--no-${name}`,
        );
        const login = ['--user', 'bench', '--password', 'bench', '--allow-anonymous', '--silent'];
        const place = ['--host', '127.0.0.1', '--default-port', String(amqp), '--java-memory', '4G', journal];
        spawnSync(join(home, 'bin', 'artemis'), ['create', instance, ...login, ...place, ...without]);
      }
      return [join(instance, 'bin', 'artemis'), 'run'];
    },
  };
}
