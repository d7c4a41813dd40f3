// What the process itself costs: processor, memory, file descriptors, and how late the event loop runs.

import { readdir } from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { MetricSource, Sample } from '../base/metrics.ts';

const resolutionMs = 10;
const nsPerSecond = 1e9;
const quantiles = ['0.5', '0.99', '0.999'] as const;

export class ProcessMetrics implements MetricSource {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });
  #openFiles: number | undefined;

  start(): void {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** Counts the open files without holding up the event loop; to be called before `metrics`. */
  async refresh(): Promise<void> {
    // Only Linux tells. The directory that is being read is open itself.
    this.#openFiles = await readdir('/proc/self/fd').then(
      (names) => names.length - 1,
      () => undefined,
    );
  }

  *metrics(): Iterable<Sample> {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
    yield counter('process_cpu_seconds_total', 'Processor time used, in seconds.', (user + system) / 1e6);
    yield gauge('process_resident_memory_bytes', 'Memory that the process holds.', rss);
    yield gauge('process_start_time_seconds', 'When the process started, in seconds since the epoch.', performance.timeOrigin / 1000);
    if (this.#openFiles !== undefined) yield gauge('process_open_fds', 'Open file descriptors.', this.#openFiles);
    yield gauge('heliograph_process_heap_used_bytes', 'JavaScript heap in use.', heapUsed);
    yield gauge('heliograph_process_heap_bytes', 'JavaScript heap reserved.', heapTotal);
    yield gauge('heliograph_process_external_bytes', 'Memory outside the JavaScript heap that its objects hold.', external);
    yield gauge('heliograph_process_buffer_bytes', 'Part of the external memory that holds bytes of buffers.', arrayBuffers);
    const help = 'How late the event loop ran timers since the last time this was asked for, in seconds.';
    const name = 'heliograph_process_event_loop_delay_seconds';
    const isMeasured = this.#delay.count > 0;
    for (const quantile of quantiles) {
      const value = isMeasured ? seconds(this.#delay.percentile(Number(quantile) * 100)) : 0;
      yield { name, help, type: 'gauge', labels: { quantile }, value };
    }
    yield { name, help, type: 'gauge', labels: { quantile: '1' }, value: isMeasured ? seconds(this.#delay.max) : 0 };
    this.#delay.reset();
  }
}

/** The histogram measures the whole interval; what is above its length is the delay. */
function seconds(ns: number): number {
  return Math.max(0, ns / nsPerSecond - resolutionMs / 1000);
}

function gauge(name: string, help: string, value: number): Sample {
  return { name, help, type: 'gauge', value };
}

function counter(name: string, help: string, value: number): Sample {
  return { name, help, type: 'counter', value };
}
