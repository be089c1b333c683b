import { createServer } from 'node:http';
import { DOCUMENTS_VARIABLE, orTellParent, serveParent } from './child-messages.ts';
import type { TargetDescription } from './fixtures.ts';

/**
 * What one process can serve at all: `node:http` without anything else gives the documents of Gatehouse, with
 * the same headers. They are read once, from where the parent says.
 */

async function start(): Promise<void> {
  const {
    documents,
    postgresPid: _none,
    ...target
  }: TargetDescription & { documents: string[] } = JSON.parse(process.env[DOCUMENTS_VARIABLE] ?? '{}');
  const answers = new Map(await Promise.all(documents.map(read)));
  const server = createServer((req, res) => {
    const answer = answers.get(req.url ?? '');
    res.writeHead(answer ? 200 : 404, answer?.headers);
    res.end(answer?.body, 'latin1');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  serveParent(
    { ...target, issuer: `http://127.0.0.1:${address.port}` },
    {
      stop: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    },
  );
}

async function read(url: string): Promise<[path: string, answer: { headers: string[]; body: string }]> {
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  const body = Buffer.from(await response.arrayBuffer()).toString('latin1');
  const headers = [...response.headers].filter(
    ([name]) => !['date', 'connection', 'keep-alive'].includes(name),
  );
  return [new URL(url).pathname, { headers: headers.flat(), body }];
}

await orTellParent(start);
