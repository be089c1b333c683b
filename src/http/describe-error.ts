import { AppError } from '../lib/errors.ts';
import type { FieldError } from '../lib/errors.ts';
import { OutboundError } from '../lib/safe-fetch.ts';

/** What a caller may know about an error. */
export interface ErrorDescription {
  status: number;
  code: string;
  message: string;
  errors: readonly FieldError[];
  retryAfterSeconds: number | undefined;
}

const RETRY_AFTER_SECONDS = 2;

/** Codes and messages of errors that come as a bare status: from libraries, or from routers that found no route. */
const BY_STATUS: Readonly<Record<number, { code: string; message: string }>> = {
  400: { code: 'http.bad_request', message: 'The request is malformed.' },
  401: { code: 'http.unauthorized', message: 'You need to sign in for this.' },
  403: { code: 'http.forbidden', message: 'You may not do this.' },
  404: { code: 'http.not_found', message: 'There is nothing at this address.' },
  405: { code: 'http.method_not_allowed', message: 'This method is not supported here.' },
  406: {
    code: 'http.not_acceptable',
    message: 'The answer would be JSON, which the request does not accept.',
  },
  408: { code: 'http.request_timeout', message: 'The request took too long to arrive.' },
  409: { code: 'http.conflict', message: 'The request conflicts with the present state.' },
  412: { code: 'http.precondition_failed', message: 'It has been changed in the meantime.' },
  413: { code: 'http.body_too_large', message: 'The body of the request is too large.' },
  415: { code: 'http.unsupported_media_type', message: 'The body has a type that is not supported here.' },
  429: { code: 'http.too_many_requests', message: 'There were too many requests. Try again later.' },
  431: { code: 'http.headers_too_large', message: 'The headers of the request are too large.' },
  501: { code: 'http.method_not_allowed', message: 'This method is not supported here.' },
};

/**
 * @param isUnavailable whether an error says that the database could not do its work now
 */
export function describeError(err: unknown, isUnavailable: (err: unknown) => boolean): ErrorDescription {
  if (err instanceof AppError) return err;
  if (causesOf(err).some(isUnavailable)) {
    return {
      status: 503,
      code: 'temporarily_unavailable',
      message: 'The service is briefly unavailable. Try again in a moment.',
      errors: [],
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    };
  }
  return describeStatus(clientErrorStatus(err) ?? 500);
}

export function describeStatus(status: number): ErrorDescription {
  const known = BY_STATUS[status] ?? (status < 500 ? BY_STATUS[400] : undefined);
  const { code, message } = known ?? {
    code: 'server_error',
    message: 'Something went wrong on our side. Give the reference to the support if it happens again.',
  };
  return { status, code, message, errors: [], retryAfterSeconds: undefined };
}

/** http-errors, as Koa and its parsers throw them. Their messages may quote the request, so they stay private. */
function clientErrorStatus(err: unknown): number | undefined {
  if (!(err instanceof Error) || !('status' in err) || !('expose' in err)) return undefined;
  const { status, expose } = err;
  return expose === true && typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

/** The causes behind a failed outgoing call are another server's, though they look like a lost database. */
function causesOf(err: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let cause = err; cause instanceof Error && chain.length < 8; cause = cause.cause) {
    if (cause instanceof OutboundError) break;
    chain.push(cause);
  }
  return chain;
}
