// The machine that is measured on: its cores, what other processes take of them, and how processes are pinned.

import { execFileSync, spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

export type Cores = { readonly broker: number; readonly generator: number };

/** Two cores that this process may use; undefined: there is one, or nothing to pin with. */
export function twoCores(): Cores | undefined {
  if (!hasProgram('taskset')) return undefined;
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const cores = allowed.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return cores.length < 2 ? undefined : { broker: cores[0]!, generator: cores[1]! };
}

export function pinned(core: number | undefined, command: readonly string[]): string[] {
  return core === undefined ? [...command] : ['taskset', '-c', String(core), ...command];
}

/**
 * Lets a process group that was started detached go before the rest of the machine, where we may, so that what else runs
 * disturbs the measurement less. Nice values alone do not reach over sessions.
 */
function prefer(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '-15');
  } catch {
    // Not permitted, or not this kind of system: the table says how much others took.
  }
}

const children = new Set<ChildProcess>();

/** Starts a process that goes before others, where we may, and that is gone when this one ends. */
export function start(command: readonly string[], stdio: StdioOptions): ChildProcess {
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, { detached: true, stdio });
  children.add(child);
  child.once('close', () => children.delete(child));
  if (child.pid !== undefined) prefer(child.pid);
  return child;
}

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.once(signal, () => process.exit(128 + number));
}

export type CoreTimes = { readonly busyTicks: number; readonly atMs: number };

/** What a core has done for anybody, the host's other guests included. */
export function coreTimes(core: number): CoreTimes {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = line.split(' ').map(Number);
  return { busyTicks: user + nice + system + irq + softIrq + steal, atMs: performance.now() };
}

const ticksPerSecond = 100;

/** Share of the core that `ownSeconds` of CPU do not explain. */
export function foreignShare(from: CoreTimes, to: CoreTimes, ownSeconds: number): number {
  const seconds = (to.atMs - from.atMs) / 1000;
  return Math.max(0, ((to.busyTicks - from.busyTicks) / ticksPerSecond - ownSeconds) / seconds);
}

/** Seconds of CPU of all threads so far. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory in bytes, now or at its highest. */
export function residentBytes(pid: number, what: 'now' | 'highest'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const found = new RegExp(`^${what === 'now' ? 'VmRSS' : 'VmHWM'}:\\s+(\\d+) kB$`, 'm').exec(status);
  return found === null ? 0 : Number(found[1]) * 1024;
}

export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim();
  return `${model}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${kernel}, Node ${process.versions.node}`;
}
