import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands between a browser and the server, and takes the cookies out of what passes: a browser that keeps none. */
export interface CookielessProxy {
  url: string;
  /** Where it passes requests on to. */
  target: string;
  keepsCookies: boolean;
  requests: number;
  close(): Promise<void>;
}

export async function startCookielessProxy(): Promise<CookielessProxy> {
  const server = createServer((req, res) => {
    proxy.requests += 1;
    const { cookie, ...headers } = req.headers;
    const onwards = request(
      new URL(req.url ?? '/', proxy.target),
      {
        method: req.method ?? 'GET',
        headers: proxy.keepsCookies && cookie ? { ...headers, cookie } : headers,
      },
      (answer) => {
        const { 'set-cookie': set, ...kept } = answer.headers;
        res.writeHead(
          answer.statusCode ?? 502,
          proxy.keepsCookies && set ? { ...kept, 'set-cookie': set } : kept,
        );
        answer.pipe(res);
      },
    );
    onwards.on('error', () => res.destroy());
    req.pipe(onwards);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));

  const proxy: CookielessProxy = {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    target: '',
    keepsCookies: false,
    requests: 0,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
