import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createConnectionLimit } from '../../src/http/connection-limit.ts';
import { startServer } from '../../src/http/server.ts';
import { createLogger } from '../../src/lib/logger.ts';

function connection(remoteAddress: string) {
  const socket = Object.assign(new EventEmitter(), { remoteAddress, destroyed: false, destroy: () => {} });
  socket.destroy = () => {
    socket.destroyed = true;
    socket.emit('close');
  };
  return socket as unknown as Socket;
}

describe('the limit of connections', () => {
  it('refuses the one too many of a network, and takes another once one is closed', () => {
    const admit = createConnectionLimit({ most: 2, trustProxy: [] });
    const [first, second, third] = Array.from({ length: 3 }, () => connection('192.0.2.1'));

    const taken = [first, second, third].map((socket) => socket && admit(socket));
    first?.destroy();
    const again = admit(connection('192.0.2.1'));
    const tooMany = admit(connection('192.0.2.1'));

    assert.deepEqual(taken, [true, true, false]);
    assert.equal(third?.destroyed, true);
    assert.deepEqual([again, tooMany], [true, false]);
  });

  it('counts an IPv6 /64 as one network, and others apart', () => {
    const admit = createConnectionLimit({ most: 1, trustProxy: [] });

    assert.equal(admit(connection('2001:db8:1:2::1')), true);
    assert.equal(admit(connection('2001:db8:1:2:ffff::9')), false);
    assert.equal(admit(connection('2001:db8:1:3::1')), true);
    assert.equal(admit(connection('::ffff:192.0.2.7')), true);
    assert.equal(admit(connection('192.0.2.7')), false);
  });

  it('does not limit the reverse proxies', () => {
    const admit = createConnectionLimit({ most: 1, trustProxy: ['10.0.0.0/8'] });

    assert.ok([1, 2, 3].every(() => admit(connection('10.1.2.3'))));
  });

  it('cuts the connections of a server one network has too many of, while the others are served', async () => {
    const server = await startServer({
      handler: (_req, res) => res.end('served'),
      host: '127.0.0.1',
      port: 0,
      log: createLogger({ level: 'silent' }),
      drainSeconds: 1,
      graceMs: 0,
      admit: createConnectionLimit({ most: 3, trustProxy: [] }),
    });
    const held = Array.from({ length: 3 }, () => connect(server.port, '127.0.0.1'));
    await Promise.all(held.map((socket) => once(socket, 'connect')));

    const oneTooMany = connect(server.port, '127.0.0.1');
    await once(oneTooMany, 'close');
    held[0]?.destroy();
    let answer: string | undefined;
    while (answer === undefined) {
      answer = await fetch(server.url, { headers: { connection: 'close' } }).then(
        (response) => response.text(),
        () => undefined,
      );
    }
    for (const socket of held) socket.destroy();
    await server.drain();

    assert.equal(answer, 'served');
  });
});
