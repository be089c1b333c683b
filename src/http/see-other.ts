import type { Context } from 'koa';

/** Answers by 303, so that a form's POST is followed by a GET and never repeated (RFC 9700 §4.12). */
export function seeOther(ctx: Pick<Context, 'status' | 'redirect' | 'body'>, url: string): void {
  ctx.status = 303;
  ctx.redirect(url);
  ctx.body = '';
}
