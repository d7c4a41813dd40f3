import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessMetrics } from './process-metrics.ts';

test('the process tells what it costs', async (t) => {
  const metrics = new ProcessMetrics();
  metrics.start();
  t.after(() => metrics.stop());
  await metrics.refresh();
  const values = new Map(
    [...metrics.metrics()].map(({ name, labels, value }) => [`${name}${labels?.['quantile'] ?? ''}`, value as number]),
  );
  assert.ok(values.get('process_cpu_seconds_total')! > 0);
  assert.ok(values.get('process_resident_memory_bytes')! > 10e6);
  assert.ok(Math.abs(values.get('process_start_time_seconds')! - Date.now() / 1000) < 86_400);
  assert.ok(values.get('heliograph_process_heap_used_bytes')! <= values.get('heliograph_process_heap_bytes')!);
  if (process.platform === 'linux') assert.ok(values.get('process_open_fds')! >= 3);
  for (const quantile of ['0.5', '0.99', '0.999', '1']) {
    assert.ok(values.get(`heliograph_process_event_loop_delay_seconds${quantile}`)! >= 0, quantile);
  }
});
