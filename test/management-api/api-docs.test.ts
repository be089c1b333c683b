import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import { apiDocs } from '../../src/management-api/api-docs.ts';

describe('the reference page of the API', () => {
  it('comes at the next visit where its file could not be read at one, read once for all who visit', async () => {
    let reads = 0;
    const koa = new Koa().use(
      apiDocs((path) => {
        reads += 1;
        return reads === 1 ? Promise.reject(new Error('too many open files')) : readFile(path);
      }),
    );
    koa.silent = true;
    const answer = koa.callback();
    const server = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/docs`;

    const visit = async () => {
      const response = await fetch(url);
      await response.arrayBuffer();
      return response.status;
    };
    const statuses = [await visit(), ...(await Promise.all([visit(), visit(), visit()])), await visit()];
    server.close();
    server.closeAllConnections();

    assert.deepEqual(statuses, [500, 200, 200, 200, 200]);
    assert.equal(reads, 2);
  });
});
