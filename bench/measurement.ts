// What a run found out, and what is asked of it.

export const metrics = {
  perSecond: { title: 'msg/s', unit: 'count' },
  cpuMicros: { title: 'CPU/msg', unit: 'micros' },
  p50Micros: { title: 'p50', unit: 'micros' },
  p99Micros: { title: 'p99', unit: 'micros' },
  p999Micros: { title: 'p99.9', unit: 'micros' },
  peakBytes: { title: 'peak memory', unit: 'bytes' },
  lost: { title: 'lost', unit: 'count' },
  bytesPerConnection: { title: 'per connection', unit: 'bytes' },
  connectsPerSecond: { title: 'connects/s', unit: 'count' },
  connectMicros: { title: 'CPU/connect', unit: 'micros' },
  matchMicros: { title: 'match', unit: 'micros' },
  bytesPerFilter: { title: 'per filter', unit: 'bytes' },
  mqttTimes: { title: 'CPU/msg beside MQTT to MQTT', unit: 'times' },
  storedPerSecond: { title: 'queued msg/s', unit: 'count' },
  fullBytes: { title: 'memory with all queued', unit: 'bytes' },
  restartSeconds: { title: 'restart after kill -9', unit: 'seconds' },
  restartedBytes: { title: 'memory after it', unit: 'bytes' },
  drainedPerSecond: { title: 'drained msg/s', unit: 'count' },
  brokerBusy: { title: 'its core', unit: 'share' },
  generatorBusy: { title: 'generator', unit: 'share' },
  foreign: { title: 'others', unit: 'share' },
} as const;
export type Metric = keyof typeof metrics;

/** What was measured; a metric that makes no sense for a work is absent. */
export type Measurement = { readonly [metric in Metric]?: number };

/** A run that could not be done, and why. */
export type Failure = { readonly failed: string };

export function isFailure(outcome: Measurement | Failure): outcome is Failure {
  return 'failed' in outcome;
}

/** Metric by metric. */
export function median(runs: readonly Measurement[]): Measurement {
  const result: { [metric in Metric]?: number } = {};
  for (const metric of Object.keys(metrics) as Metric[]) {
    const values = runs.flatMap((run) => run[metric] ?? []).toSorted((a, b) => a - b);
    if (values.length > 0) result[metric] = values[values.length >> 1]!;
  }
  return result;
}

export function shown(metric: Metric, value: number): string {
  switch (metrics[metric].unit) {
    case 'count':
      return Math.round(value).toLocaleString('en-US');
    case 'micros':
      if (value >= 1e6) return `${(value / 1e6).toFixed(1)} s`;
      if (value >= 1000) return `${(value / 1000).toFixed(value >= 20_000 ? 0 : 1)} ms`;
      return `${value.toFixed(value >= 100 ? 0 : 2)} µs`;
    case 'bytes':
      if (value >= 1e6) return `${(value / 1e6).toFixed(0)} MB`;
      return value >= 1000 ? `${(value / 1000).toFixed(1)} KB` : `${value.toFixed(0)} B`;
    case 'seconds':
      return `${value.toFixed(1)} s`;
    case 'times':
      return `${value.toFixed(2)}×`;
    case 'share':
      return `${Math.round(value * 100)}%`;
  }
}

/** One thing that is asked. `met` is undefined when it cannot be said, for want of the peer. */
export type Demand = {
  readonly text: string;
  met(own: Measurement, peers: ReadonlyMap<string, Measurement>): boolean | undefined;
};

export function atLeast(metric: Metric, value: number): Demand {
  return { text: `${metrics[metric].title} ≥ ${shown(metric, value)}`, met: (own) => own[metric] !== undefined && own[metric] >= value };
}

export function atMost(metric: Metric, value: number): Demand {
  return { text: `${metrics[metric].title} ≤ ${shown(metric, value)}`, met: (own) => own[metric] !== undefined && own[metric] <= value };
}

/** So many times what the peer does. */
export function timesThatOf(peer: string, times: number, metric: Metric = 'perSecond'): Demand {
  return {
    text: metric === 'perSecond' ? `≥ ${times}× ${peer}` : `${metrics[metric].title} ≥ ${times}× ${peer}`,
    met: (own, peers) => {
      const theirs = peers.get(peer)?.[metric];
      return theirs === undefined ? undefined : (own[metric] ?? 0) >= times * theirs;
    },
  };
}

export function noMoreThan(peer: string, metric: Metric): Demand {
  return {
    text: `${metrics[metric].title} ≤ ${peer}'s`,
    met: (own, peers) => {
      const theirs = peers.get(peer)?.[metric];
      return theirs === undefined ? undefined : (own[metric] ?? Infinity) <= theirs;
    },
  };
}
