import { Client } from 'undici';
import type { IncomingHttpHeaders } from 'undici/types/header.js';

/** One keep-alive connection, one request at a time on it. */
export interface Connection {
  request(request: Request): Promise<Answer>;
  /** So far. */
  requests(): number;
  close(): Promise<void>;
}

export interface Request {
  method: 'GET' | 'POST';
  /** With the query. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

export function openConnection(origin: string): Connection {
  const client = new Client(origin, { pipelining: 1 });
  let count = 0;
  return {
    async request({ method, path, headers, body }) {
      count += 1;
      const answer = await client.request({
        method,
        path,
        headers: { ...(body !== undefined && FORM), ...headers },
        body: body ?? null,
      });
      return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
    },
    requests: () => count,
    close: () => client.close(),
  };
}

/** @throws with the answer, unless it has this status */
export function expectStatus(answer: Answer, status: number, what: string): Answer {
  if (answer.status === status) return answer;
  throw new UnexpectedAnswer(what, answer);
}

export class UnexpectedAnswer extends Error {
  readonly status: number;

  constructor(what: string, { status, headers, body }: Answer) {
    const location = headers.location === undefined ? '' : ` to ${String(headers.location)}`;
    super(`${what}: unexpected answer ${status}${location}: ${body.slice(0, 500)}`);
    this.name = 'UnexpectedAnswer';
    this.status = status;
  }
}
