import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inBatches } from '../../src/http/in-batches.ts';
import { openSocket } from './support.ts';

/** As far as batches look at a request. */
function arriving(url: string): [IncomingMessage, ServerResponse] {
  return [{ url } as IncomingMessage, { destroyed: false } as ServerResponse];
}

describe('requests in batches', () => {
  it('begins those of one turn together, in their order, eight at a time', async () => {
    const begun: string[] = [];
    const handler = inBatches(({ url = '' }) => begun.push(url));

    for (let count = 0; count < 11; count += 1) handler(...arriving(String(count)));
    assert.deepEqual(begun, []);
    await nextTurn();
    assert.deepEqual(begun, ['0', '1', '2', '3', '4', '5', '6', '7']);
    handler(...arriving('11'));
    await nextTurn();

    assert.deepEqual(begun.slice(8), ['8', '9', '10', '11']);
  });

  it('begins one that comes alone in the same turn', async () => {
    const begun: string[] = [];
    const handler = inBatches(({ url = '' }) => begun.push(url));

    handler(...arriving('first'));
    await nextTurn();
    handler(...arriving('second'));
    await nextTurn();

    assert.deepEqual(begun, ['first', 'second']);
  });

  it('does not begin what nobody waits for any more', async () => {
    const begun: string[] = [];
    const batched = inBatches(({ url = '' }, res) => {
      begun.push(url);
      res.end();
    });
    let closed = Promise.resolve<unknown>(undefined);
    const server = createServer((req, res) => {
      // In the queue when its client goes.
      if (req.url === '/gone') {
        closed = once(res, 'close').then(() => batched(req, res));
        req.socket.destroy();
      } else batched(req, res);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };

    const socket = await openSocket(port);
    socket.write('GET /gone HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'close');
    await closed;
    await fetch(`http://127.0.0.1:${port}/stays`);
    server.close();

    assert.deepEqual(begun, ['/stays']);
  });
});
