import { newId } from '../lib/ids.ts';

let lastMs = 0;
let counter = 0;

/**
 * A UUIDv7 that sorts after every earlier one of this process, also within a millisecond (RFC 9562
 * §6.2, method 1: a counter in rand_a): several events of one transaction keep their order.
 */
export function newEventId(now: Date = new Date()): string {
  // Neither does a clock that is set back disturb the order.
  const ms = Math.max(now.getTime(), lastMs);
  counter = ms === lastMs ? counter + 1 : 0;
  lastMs = ms;
  if (counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  const id = newId(new Date(lastMs));
  return `${id.slice(0, 15)}${counter.toString(16).padStart(3, '0')}${id.slice(18)}`;
}
