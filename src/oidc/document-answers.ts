import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';

/**
 * The answers that requests for a provider's documents have had, to be given again to whoever asks the same.
 * They are taken from the responses themselves, so that the short way (document-server.ts) cannot say
 * anything else than the long one.
 */
export type DocumentAnswers = ReturnType<typeof createDocumentAnswers>;

export interface DocumentAnswer {
  status: number;
  /** Each name before its value; without those that every response has of its own. */
  headers: readonly string[];
  /** One character a byte: Node sends such a text and the headers in one piece. */
  body: string | undefined;
}

/** Node has it since 15.4, its types do not. */
interface WithRawNames extends ServerResponse {
  getRawHeaderNames(): string[];
}

type DocumentRequest = Pick<IncomingMessage, 'method' | 'headers'>;

/** All that the answer to a GET or HEAD of a document depends on (RFC 9110 §12.5.3, §13.1; RFC 9111 §5.2.1). */
const DEPENDS_ON = ['accept-encoding', 'if-none-match', 'if-modified-since', 'cache-control'] as const;
/** Of the request or the connection, not of the document. */
const NOT_KEPT = new Set([
  'x-request-id',
  'ratelimit',
  'ratelimit-policy',
  'connection',
  'keep-alive',
  'date',
  'transfer-encoding',
]);
const MOST_ANSWERS = 100;
const LONGEST_KEY = 400;

export function createDocumentAnswers() {
  const answers = new LRUCache<string, DocumentAnswer>({ max: MOST_ANSWERS });

  return {
    /** @param path of the document, below the tenant's */
    find: (req: DocumentRequest, path: string): DocumentAnswer | undefined => answers.get(keyOf(req, path)),

    /** @param res with status and all headers, before the body leaves */
    keep(req: DocumentRequest, path: string, res: ServerResponse, body: Buffer | undefined): void {
      const key = keyOf(req, path);
      if (key.length > LONGEST_KEY) return;
      const headers = (res as WithRawNames)
        .getRawHeaderNames()
        .filter((name) => !NOT_KEPT.has(name.toLowerCase()))
        .flatMap((name) => [name, String(res.getHeader(name))]);
      const isBodiless = req.method === 'HEAD' || body === undefined;
      answers.set(key, {
        status: res.statusCode,
        headers,
        body: isBodiless ? undefined : body.toString('latin1'),
      });
    },
  };
}

function keyOf({ method, headers }: DocumentRequest, path: string): string {
  let key = `${method} ${path}`;
  // No header value holds a line feed.
  for (const name of DEPENDS_ON) key += `\n${headers[name] ?? ''}`;
  return key;
}
