import type { Part } from './part.ts';
import type { Rooms } from './rooms.ts';

/** The loop needs no start; it forgets its timer once the broker, which has deadlines on it, has stopped. */
export function loopPart({ loop }: Rooms): Part {
  return { name: 'event loop', start() {}, stop: () => loop.stop() };
}
