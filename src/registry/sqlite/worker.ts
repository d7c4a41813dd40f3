// The registry's thread: it waits for the disk, so that the thread with the connections never does.

import { parentPort, workerData } from 'node:worker_threads';
import { refusalOf } from '../sql/failure.ts';
import { perform, type FromThread, type ThreadData, type ToThread } from './calls.ts';
import { RegistryFile } from './registry-file.ts';

const port = parentPort!;
const { path, writeWaitMs } = workerData as ThreadData;
let file: RegistryFile | undefined;

port.on('message', (message: ToThread) => {
  if (message === 'close') {
    file?.close();
    port.close();
    return;
  }
  port.postMessage(answer(message));
});

function answer({ id, call }: Exclude<ToThread, 'close'>): FromThread {
  try {
    file ??= RegistryFile.open(path, { writeWaitMs });
    return { id, result: perform(file, call) };
  } catch (error) {
    try {
      return { id, result: refusalOf(error) };
    } catch {
      return { id, bug: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  }
}
