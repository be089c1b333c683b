import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

/**
 * More than these at once would make everybody wait for the last one, and the database and the clients have
 * nothing to do meanwhile.
 */
const MOST_AT_ONCE = 8;

/**
 * Begins requests that arrived in the same turn of the event loop together (docs/adr/0022). Their work then goes on in step:
 * each piece of code runs for all of them before the next one does, which the processor's caches reward, and
 * their answers leave together. A request that comes alone begins in the turn it came in.
 */
export function inBatches(handle: (req: IncomingMessage, res: ServerResponse) => void): RequestListener {
  let waiting: [IncomingMessage, ServerResponse][] = [];

  function begin(): void {
    const batch = waiting.slice(0, MOST_AT_ONCE);
    waiting = waiting.slice(MOST_AT_ONCE);
    if (waiting.length > 0) setImmediate(begin);
    for (const [req, res] of batch) {
      // Its client may have gone while it waited for a batch of its own.
      if (!res.destroyed) handle(req, res);
    }
  }

  return (req, res) => {
    if (waiting.length === 0) setImmediate(begin);
    waiting.push([req, res]);
  };
}
