import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import type { buildConnector, fetch as undiciFetch, RequestInit as UndiciRequestInit } from 'undici';
import { createNetworks, isPublicAddress, parseAddress } from './networks.ts';
import type { Address } from './networks.ts';

/**
 * `fetch` for addresses that others choose (JWKS, back-channel logout, upstream providers). It reaches
 * public addresses over https only, besides the networks the operator allows; it follows no redirect,
 * and reads no more and waits no longer than it is told, whatever the other side sends.
 */

/** The global `fetch`, less `Request` objects. */
export type SafeFetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

export type OutboundFailure =
  | 'address_refused'
  | 'scheme_refused'
  | 'redirect_refused'
  | 'timeout'
  | 'too_large'
  | 'unreachable';

/** The message names the host but no path or query, which may hold secrets. */
export class OutboundError extends Error {
  readonly reason: OutboundFailure;

  constructor(reason: OutboundFailure, host: string, cause?: unknown) {
    super(
      `outgoing request to ${host} failed: ${reason.replaceAll('_', ' ')}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'OutboundError';
    this.reason = reason;
  }
}

/** Of every exchange, unless it is told otherwise. */
export const OUTBOUND_LIMITS = { timeoutMs: 2500, maxBytes: 256 * 1024 } as const;

export interface SafeFetchOptions {
  /** Networks (CIDRs) that may be reached besides public addresses, also by plain http. */
  allow: readonly string[];
  /** For the whole exchange, from name resolution to the last byte of the body. */
  timeoutMs?: number;
  /** Of the body, after decompression. */
  maxBytes?: number;
  /** Addresses of a host name; for tests. */
  resolve?: (hostname: string) => Promise<string[]>;
}

/**
 * @returns a function with the signature of the global `fetch`. `redirect: 'manual'` hands a redirect to the
 *   caller, every other mode refuses it. The body is read before the promise resolves.
 * @throws {OutboundError} (from the returned function) for whatever kept the answer from arriving
 */
export function createSafeFetch(options: SafeFetchOptions): SafeFetch {
  const { allow, timeoutMs, maxBytes, resolve } = { ...OUTBOUND_LIMITS, resolve: resolveHost, ...options };
  let loading: ReturnType<typeof load> | undefined;

  /** At the first request, which many installations never make: it takes 4 MB. */
  async function load() {
    const { Agent, buildConnector, fetch } = await import('undici');
    const dispatcher = new Agent({
      connect: guardedConnector(buildConnector, { allow, timeoutMs, resolve }),
      connections: 16,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxHeaderSize: 16 * 1024,
      maxResponseSize: maxBytes,
    });
    return { fetch, dispatcher };
  }

  return async (input, init = {}) => {
    const url = new URL(input);
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new OutboundError('scheme_refused', url.host);

    const { fetch, dispatcher } = await (loading ??= load());
    const deadline = AbortSignal.timeout(timeoutMs);
    const signal = init.signal ? AbortSignal.any([deadline, init.signal]) : deadline;
    try {
      const response = await fetch(url.href, {
        // Nothing else of the caller's: a dispatcher in particular would go past the check of addresses.
        ...outgoing(init),
        redirect: 'manual',
        signal,
        dispatcher,
      });
      if (isRedirect(response.status) && init.redirect !== 'manual') {
        await response.body?.cancel();
        throw new OutboundError('redirect_refused', url.host);
      }
      return await toResponse(response, url, maxBytes);
    } catch (err) {
      // As with the global fetch, a caller that aborts gets its own reason back.
      init.signal?.throwIfAborted();
      throw toOutboundError(err, url.host, deadline);
    }
  };
}

function outgoing({ method = 'GET', headers, body = null, duplex }: RequestInit): UndiciRequestInit {
  // The same but for the name of FormData's type.
  const undiciBody = body as UndiciRequestInit['body'] & {};
  return { method, headers: [...new Headers(headers)], body: undiciBody, ...(duplex && { duplex }) };
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

async function toResponse(
  response: Awaited<ReturnType<typeof undiciFetch>>,
  url: URL,
  maxBytes: number,
): Promise<Response> {
  const body = response.body === null ? null : await readCapped(response.body, url.host, maxBytes);
  const headers = new Headers([...response.headers]);
  // The body is plain now; the length of what was sent would be wrong.
  headers.delete('content-encoding');
  headers.delete('content-length');
  const { status, statusText } = response;
  const result = new Response(body?.length ? body : null, { status, statusText, headers });
  return Object.defineProperty(result, 'url', { value: url.href });
}

async function readCapped(
  body: AsyncIterable<Uint8Array>,
  host: string,
  maxBytes: number,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the stream, which closes the connection.
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw new OutboundError('too_large', host);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * Checks the addresses a name resolves to and hands exactly those to the socket, so that a second answer of
 * the name server (rebinding) is never asked for; checks IP literals, for which no lookup happens; and checks
 * where the socket really ended up.
 */
function guardedConnector(
  build: typeof buildConnector,
  options: Required<Pick<SafeFetchOptions, 'allow' | 'timeoutMs' | 'resolve'>>,
) {
  const allowed = createNetworks(options.allow);

  const connectorFor = (mayReach: (address: Address) => boolean): buildConnector.connector => {
    const mayReachText = (text: string): boolean => {
      const address = parseAddress(text);
      return address !== undefined && mayReach(address);
    };
    const connect = build({
      timeout: options.timeoutMs,
      allowH2: false,
      lookup: guardedLookup(options.resolve, mayReachText),
    });

    return (target, callback) => {
      const { hostname } = target;
      if (isIP(hostname) && !mayReachText(hostname)) {
        callback(new OutboundError('address_refused', hostname), null);
        return;
      }
      connect(target, (...[err, socket]) => {
        if (err) return callback(err, null);
        if (mayReachText(socket.remoteAddress ?? '')) return callback(null, socket);
        socket.destroy();
        callback(new OutboundError('address_refused', hostname), null);
      });
    };
  };

  const plain = connectorFor((address) => allowed.includes(address));
  const secure = connectorFor((address) => allowed.includes(address) || isPublicAddress(address));
  const connect: buildConnector.connector = (target, callback) =>
    (target.protocol === 'https:' ? secure : plain)(target, callback);
  return connect;
}

function guardedLookup(
  resolve: (hostname: string) => Promise<string[]>,
  mayReach: (address: string) => boolean,
): LookupFunction {
  const resolveChecked = callbackify(async (hostname: string) => {
    const addresses = await resolve(hostname);
    // One bad address among good ones is refused as well: no honest name points both in and out.
    if (!addresses.every(mayReach)) throw new OutboundError('address_refused', hostname);
    return addresses;
  });
  return (hostname, { all }, callback) => {
    resolveChecked(hostname, (err, addresses) => {
      const [first] = addresses ?? [];
      if (err || first === undefined) callback(err ?? new OutboundError('unreachable', hostname), '');
      else if (!all) callback(null, first, isIP(first));
      else
        callback(
          null,
          addresses.map((address) => ({ address, family: isIP(address) })),
        );
    });
  };
}

async function resolveHost(hostname: string): Promise<string[]> {
  const found = await lookup(hostname, { all: true });
  return found.map(({ address }) => address);
}

function toOutboundError(err: unknown, host: string, deadline: AbortSignal): unknown {
  for (let cause = err; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof OutboundError) return cause;
    if ('code' in cause && cause.code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
      return new OutboundError('too_large', host, err);
    if ('code' in cause && typeof cause.code === 'string' && /TIMEOUT/.test(cause.code))
      return new OutboundError('timeout', host, err);
  }
  if (deadline.aborted) return new OutboundError('timeout', host, err);
  return new OutboundError('unreachable', host, err);
}
