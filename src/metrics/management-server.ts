import type { IncomingMessage, ServerResponse } from 'node:http';
import { startServer } from '../http/server.ts';
import type { RunningServer } from '../http/server.ts';
import type { Logger } from '../lib/logger.ts';

/**
 * Metrics have a port of their own, which is not meant for the internet: `/metrics` for Prometheus, and
 * `/livez` for whoever watches this port.
 *
 * @param render the metrics in Prometheus' text format
 * @returns undefined when the port is taken: nobody is refused a sign-in for want of metrics
 */
export async function startManagementServer({
  host,
  port,
  log,
  render,
}: {
  host: string;
  port: number;
  log: Logger;
  render: () => Promise<string>;
}): Promise<RunningServer | undefined> {
  try {
    return await startServer({
      handler: (req, res) => void answer(req, res),
      host,
      port,
      log,
      drainSeconds: 1,
      graceMs: 0,
    });
  } catch (err) {
    log.error({ err, host, port }, 'metrics are not served');
    return undefined;
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname } = new URL(req.url ?? '/', 'http://management');
    if (req.method !== 'GET' && req.method !== 'HEAD')
      return send(res, 405, 'text/plain', 'Method not allowed\n');
    if (pathname === '/livez') return send(res, 200, 'application/json', '{"status":"ok"}');
    if (pathname !== '/metrics') return send(res, 404, 'text/plain', 'There is /metrics here.\n');
    try {
      send(res, 200, 'text/plain; version=0.0.4; charset=utf-8', await render());
    } catch (err) {
      log.error({ err }, 'the metrics could not be collected');
      send(res, 500, 'text/plain', 'The metrics could not be collected; the log says why.\n');
    }
  }
}

function send(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  res.end(body);
}
