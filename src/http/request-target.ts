import { defineErrors } from '../lib/errors.ts';
import type { AppMiddleware } from './request-state.ts';

const fail = defineErrors('http', {
  malformed_url: { status: 400, message: 'The address of this request is malformed.' },
  method_not_allowed: { status: 405, message: 'This method is not supported here.' },
});

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Refuses what no route should have to think about: paths that do not decode (RFC 3986 §2.1), NUL
 * characters, which PostgreSQL cannot store, and methods that nothing here speaks.
 */
export function checkRequestTarget(): AppMiddleware {
  return (ctx, next) => {
    if (!METHODS.includes(ctx.method)) {
      ctx.set('Allow', METHODS.join(', '));
      throw fail('method_not_allowed');
    }
    if (!decodes(ctx.path) || /%00|\0/.test(ctx.url)) throw fail('malformed_url');
    return next();
  };
}

function decodes(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
