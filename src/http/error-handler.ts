import { STATUS_CODES } from 'node:http';
import { AppError } from '../lib/errors.ts';
import { describeError, describeStatus } from './describe-error.ts';
import type { ErrorDescription } from './describe-error.ts';
import type { AppContext, AppMiddleware } from './request-state.ts';

/**
 * The one place where errors of our own routes become responses, and where they are logged: once, with
 * their cause, under the reference that the caller sees. The protocol engine answers for its own errors.
 */

export interface ErrorPage {
  /** In English. */
  message: string;
  code: string;
  /** The correlation id: the same in the log. */
  reference: string;
  time: Date;
  status: number;
  /** The page again, where that may help. */
  retryHref: string | null;
}

export interface ErrorHandlerOptions {
  renderErrorPage: (ctx: AppContext, page: ErrorPage) => string;
  isUnavailable: (err: unknown) => boolean;
  /** Paths whose callers expect the errors of RFC 6749 §5.2 instead of problem+json. */
  isOAuthPath?: (path: string) => boolean;
  now: () => Date;
}

export function errorHandler(options: ErrorHandlerOptions): AppMiddleware {
  return async (ctx, next) => {
    // Captured now, because whoever mounts a nested application shortens the path.
    const { path } = ctx;
    try {
      await next();
      if (isUnanswered(ctx)) respond(ctx, path, describeStatus(ctx.status), options);
    } catch (err) {
      const description = describeError(err, options.isUnavailable);
      log(ctx, err, description);
      if (ctx.headerSent) {
        // Half a response must not look like a whole one.
        ctx.respond = false;
        ctx.res.destroy();
        return;
      }
      respond(ctx, path, description, options);
    }
  };
}

/** No route took the request, or a router refused its method. */
function isUnanswered(ctx: AppContext): boolean {
  return (
    ctx.respond !== false && !ctx.headerSent && ctx.status >= 400 && (ctx.body ?? undefined) === undefined
  );
}

function log(ctx: AppContext, err: unknown, { status, code }: ErrorDescription): void {
  const fields = { code, status };
  if (status >= 500) {
    const level = status === 503 ? 'warn' : 'error';
    ctx.state.log[level]({ ...fields, err }, 'request failed');
  } else if (err instanceof AppError) {
    // A refusal is the caller's affair; its cause, where there is one, is ours.
    ctx.state.log[err.cause === undefined ? 'debug' : 'info']({ ...fields, err }, 'request refused');
  } else {
    // Errors of parsers carry and quote the body.
    ctx.state.log.info(fields, 'request refused');
  }
}

function respond(
  ctx: AppContext,
  path: string,
  description: ErrorDescription,
  options: ErrorHandlerOptions,
): void {
  for (const name of ['ETag', 'Last-Modified', 'Content-Disposition', 'Content-Encoding']) ctx.remove(name);
  ctx.status = description.status;
  ctx.set('Cache-Control', 'no-store');
  ctx.vary('Accept');
  if (description.retryAfterSeconds !== undefined)
    ctx.set('Retry-After', String(Math.ceil(description.retryAfterSeconds)));

  if (prefersHtml(ctx, path)) {
    ctx.type = 'html';
    ctx.body = page(ctx, description, options);
  } else if (options.isOAuthPath?.(path)) {
    ctx.body = oauthError(description);
  } else {
    ctx.body = problem(ctx, description);
    ctx.type = 'application/problem+json';
  }
}

// Of the default tenant and of the others.
const API_PATH = /^(\/t\/[^/]+)?\/api(\/|$)/;

function prefersHtml(ctx: AppContext, path: string): boolean {
  if (API_PATH.test(path)) return false;
  return ctx.accepts('application/problem+json', 'application/json', 'text/html') === 'text/html';
}

function page(ctx: AppContext, description: ErrorDescription, options: ErrorHandlerOptions): string {
  const { status, code, message } = description;
  const reference = ctx.state.correlationId;
  const retryHref = canRetry(ctx, status) ? ctx.originalUrl : null;
  try {
    const time = options.now();
    return options.renderErrorPage(ctx, { message, code, reference, time, status, retryHref });
  } catch (err) {
    // An error page that fails must still tell the reference.
    const title = STATUS_CODES[status] ?? 'Error';
    ctx.state.log.error({ err }, 'the error page could not be rendered');
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>Reference: ${reference}</p></html>`;
  }
}

function canRetry(ctx: AppContext, status: number): boolean {
  // Browsers read `//host` and `/\host` as another site.
  return ctx.method === 'GET' && (status >= 500 || status === 429) && /^\/(?![/\\])/.test(ctx.originalUrl);
}

/** Problem details, RFC 9457, with our stable code and the reference as extension members. */
function problem(ctx: AppContext, { status, code, message, errors }: ErrorDescription) {
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: message,
    code,
    // JSON pointers in their fragment form, as in RFC 9457 §3.
    ...(errors.length > 0 && {
      errors: errors.map((fault) => ({ pointer: `#${fault.path}`, detail: fault.message })),
    }),
    traceId: ctx.state.correlationId,
  };
}

function oauthError({ status, message }: ErrorDescription) {
  return { error: oauthCode(status), error_description: oauthText(message) };
}

function oauthCode(status: number): string {
  // RFC 6749 has no word for a limit; this one says that the same request may succeed later.
  if (status === 503 || status === 429) return 'temporarily_unavailable';
  return status >= 500 ? 'server_error' : 'invalid_request';
}

function oauthText(message: string): string {
  // RFC 6749 §5.2 allows no quotation marks or backslashes.
  return message.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'");
}
