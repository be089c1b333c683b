import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

/**
 * Requests whose end is always told apart: answered, never sent, or lost, when nobody knows what the
 * server did with it. That difference is what fault tests are about.
 */
export type Outcome =
  | { kind: 'answered'; status: number; headers: IncomingHttpHeaders; body: string; milliseconds: number }
  /** Nobody listens: not a byte was sent, so any client may send it elsewhere. */
  | { kind: 'refused'; milliseconds: number }
  | { kind: 'lost'; reason: string; milliseconds: number };

export interface HttpRequest {
  method?: 'GET' | 'POST';
  url: string;
  headers?: Record<string, string>;
  form?: Record<string, string>;
  /** In place of a form. */
  json?: object;
}

export interface HttpClient {
  send(request: HttpRequest): Promise<Outcome>;
  close(): void;
}

/** @param timeoutMs until the answer is whole; longer than any answer of ours may take */
export function createHttpClient({ timeoutMs = 30_000, keepAlive = true } = {}): HttpClient {
  const agent = new Agent({ keepAlive, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 64 });

  return {
    send({ method = 'GET', url, headers = {}, form, json }) {
      const started = performance.now();
      const elapsed = () => performance.now() - started;
      const body = form
        ? new URLSearchParams(form).toString()
        : json === undefined
          ? json
          : JSON.stringify(json);
      const { promise, resolve } = Promise.withResolvers<Outcome>();

      const req = request(url, {
        agent,
        method: body === undefined ? method : 'POST',
        headers: {
          accept: 'application/json',
          ...(body === undefined
            ? {}
            : {
                'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json',
                'content-length': String(Buffer.byteLength(body)),
              }),
          ...headers,
        },
      });
      const timer = setTimeout(() => req.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      const end = (outcome: Outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      };
      const fail = (err: NodeJS.ErrnoException) =>
        end(
          err.code === 'ECONNREFUSED'
            ? { kind: 'refused', milliseconds: elapsed() }
            : { kind: 'lost', reason: err.code ?? err.message, milliseconds: elapsed() },
        );

      req.on('error', fail);
      req.on('response', (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', fail);
        // A body that ends early is an error of its own, so this is a whole one.
        res.on('end', () =>
          end({
            kind: 'answered',
            status: res.statusCode ?? 0,
            headers: res.headers,
            body: Buffer.concat(chunks).toString('utf8'),
            milliseconds: elapsed(),
          }),
        );
      });
      req.end(body);
      return promise;
    },
    close: () => agent.destroy(),
  };
}

/** The JSON of an answer; `{}` where there is none. */
export function jsonOf(outcome: Outcome): Record<string, unknown> {
  if (outcome.kind !== 'answered') return {};
  try {
    const parsed: unknown = JSON.parse(outcome.body);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}
