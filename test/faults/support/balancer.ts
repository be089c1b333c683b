import { setTimeout as delay } from 'node:timers/promises';
import type { Answer } from './answers.ts';
import { createHttpClient } from './http-client.ts';
import type { HttpRequest, Outcome } from './http-client.ts';
import { isReady } from './server-process.ts';

/**
 * What stands in front of several servers: takes requests for the public URL and hands each to one of
 * them. It goes to the next one where nobody listens, and passes over a server that has said it is going
 * (`Connection: close`) until its probe says that it is ready again, while there is another one. It never
 * repeats a request of which a byte was sent.
 */
export interface Balancer {
  /**
   * @param request below the public URL
   * @param first which server is asked first; they take turns otherwise
   */
  send(request: HttpRequest, first?: number): Promise<Outcome>;
  /** For user agents. @throws {RequestFailed} unless there is an answer */
  fetch(url: string, init: RequestInit, first?: number): Promise<Response>;
  /** @param listener is told what became of every request from now on */
  watch(listener: (answer: Answer) => void): void;
  close(): void;
}

const PROBE_MS = 50;

export class RequestFailed extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome.kind === 'lost' ? `the request was lost: ${outcome.reason}` : 'nobody listens');
    this.outcome = outcome;
  }
}

export function createBalancer({
  publicUrl,
  urls,
  timeoutMs = 30_000,
}: {
  publicUrl: string;
  urls: readonly string[];
  timeoutMs?: number;
}): Balancer {
  const http = createHttpClient({ timeoutMs });
  const going = new Set<string>();
  const listeners: ((answer: Answer) => void)[] = [];
  let turn = 0;
  let isClosed = false;

  async function passOver(url: string): Promise<void> {
    if (going.has(url)) return;
    going.add(url);
    do await delay(PROBE_MS);
    while (!isClosed && !(await isReady(url)));
    going.delete(url);
  }

  async function send(request: HttpRequest, first?: number): Promise<Outcome> {
    if (!request.url.startsWith(publicUrl)) throw new Error(`not below ${publicUrl}: ${request.url}`);
    if (first === undefined) turn += 1;
    const from = (first ?? turn) % urls.length;
    const inTurn = [...urls.slice(from), ...urls.slice(0, from)];
    let outcome: Outcome | undefined;
    for (const url of inTurn.toSorted((a, b) => Number(going.has(a)) - Number(going.has(b)))) {
      outcome = await http.send({ ...request, url: url + request.url.slice(publicUrl.length) });
      if (outcome.kind === 'refused') continue;
      if (outcome.kind === 'answered' && outcome.headers.connection === 'close') void passOver(url);
      break;
    }
    const result: Outcome = outcome ?? { kind: 'refused', milliseconds: 0 };
    for (const listener of listeners) listener({ what: new URL(request.url).pathname, outcome: result });
    return result;
  }

  return {
    send,
    fetch: fetchBy(send),
    watch: (listener) => void listeners.push(listener),
    close() {
      isClosed = true;
      http.close();
    },
  };
}

export function fetchBy(send: Balancer['send']): Balancer['fetch'] {
  return async (url, init, first) => {
    const form = init.body instanceof URLSearchParams ? Object.fromEntries(init.body) : undefined;
    const headers = Object.fromEntries(new Headers(init.headers));
    const outcome = await send({ url, headers, ...(form ? { form } : {}) }, first);
    if (outcome.kind !== 'answered') throw new RequestFailed(outcome);
    return toResponse(outcome);
  };
}

function toResponse({ status, headers, body }: Extract<Outcome, { kind: 'answered' }>): Response {
  const copy = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value].flat()) if (one !== undefined) copy.append(name, one);
  }
  return new Response([204, 304].includes(status) ? null : body, { status, headers: copy });
}
