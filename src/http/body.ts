import { bodyParser } from '@koa/bodyparser';
import type { z } from 'zod';
import { defineErrors } from '../lib/errors.ts';
import type { FieldError } from '../lib/errors.ts';
import type { AppContext } from './request-state.ts';

/**
 * Bodies of our own routes; the protocol engine reads its own from the raw request. Everything odd is
 * refused before a handler sees it: repeated parameters, keys that reach prototypes, text PostgreSQL
 * cannot store.
 */

const fail = defineErrors('http', {
  malformed_body: { status: 400, message: 'The body of the request is malformed.' },
  duplicate_parameter: { status: 400, message: 'A parameter was given more than once.' },
  invalid_parameters: { status: 400, message: 'Some fields are missing or wrong.' },
  not_found: { status: 404, message: 'There is nothing at this address.' },
  body_too_large: { status: 413, message: 'The body of the request is too large.' },
  unsupported_media_type: { status: 415, message: 'The body has a type that is not supported here.' },
});

const FORM_TYPE = 'application/x-www-form-urlencoded';
/** Of bodies of our own routes. */
export const BODY_LIMITS = {
  formBytes: 64 * 1024,
  jsonBytes: 256 * 1024,
  formFields: 256,
  jsonDepth: 32,
} as const;
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

// Forms are read as text: the parser's own would build nested objects from `a[b]=c` and lists from repetitions.
const read = bodyParser({
  enableTypes: ['json', 'text'],
  extendTypes: { text: [FORM_TYPE] },
  textLimit: BODY_LIMITS.formBytes,
  jsonLimit: BODY_LIMITS.jsonBytes,
});

/**
 * @param schema of an object with a string for each field
 * @returns the validated form
 * @throws {AppError} 400 with the faults of each field, 413, 415
 */
export async function parseForm<Schema extends z.ZodType>(
  ctx: AppContext,
  schema: Schema,
): Promise<z.output<Schema>> {
  return validate(schema, formFields(await readForm(ctx)));
}

/**
 * @param limitBytes less than what forms may have otherwise
 * @returns the fields as they came, repeated ones as well, for whoever has rules of its own about them
 * @throws {AppError} 413, 415
 */
export async function readForm(
  ctx: AppContext,
  limitBytes: number = BODY_LIMITS.formBytes,
): Promise<URLSearchParams> {
  if (!ctx.is(FORM_TYPE)) throw fail('unsupported_media_type');
  await readBody(ctx, limitBytes);
  const text = String(ctx.request.body);
  // Of a body that came in chunks nobody knew the length.
  if (text.length > limitBytes) throw fail('body_too_large');
  return new URLSearchParams(text);
}

/**
 * @returns the validated JSON object or array; an absent body counts as an empty object
 * @throws {AppError} 400 with the faults of each field, 413, 415
 */
export async function parseJson<Schema extends z.ZodType>(
  ctx: AppContext,
  schema: Schema,
): Promise<z.output<Schema>> {
  if (ctx.request.length !== 0 && ctx.is('json') === false) throw fail('unsupported_media_type');
  await readBody(ctx, BODY_LIMITS.jsonBytes);
  const body = ctx.request.body ?? {};
  checkJson(body);
  return validate(schema, body);
}

/**
 * @param schema undefined: no parameters are taken
 * @returns the validated query
 * @throws {AppError} 400 for unknown, repeated and wrong parameters
 */
export function parseQuery<Schema extends z.ZodObject>(
  ctx: AppContext,
  schema: Schema | undefined,
): z.output<Schema> | undefined {
  const fields = formFields(new URLSearchParams(ctx.querystring));
  if (schema) return validate(schema, fields);
  const [unknown] = Object.keys(fields);
  if (unknown === undefined) return undefined;
  throw fail('invalid_parameters', { errors: [fault([unknown], 'is not a parameter of this endpoint')] });
}

/**
 * @param schema of the parameters in the path
 * @throws {AppError} 404: an address with an id that is none leads nowhere
 */
export function parsePath<Schema extends z.ZodObject>(ctx: AppContext, schema: Schema): z.output<Schema> {
  const result = schema.safeParse(Reflect.get(ctx, 'params'));
  if (result.success) return result.data;
  throw fail('not_found');
}

async function readBody(ctx: AppContext, limitBytes: number): Promise<void> {
  // A compressed body could grow without end; no client of a sign-in form compresses it.
  if ((ctx.get('Content-Encoding') || 'identity') !== 'identity') throw fail('unsupported_media_type');
  if ((ctx.request.length ?? 0) > limitBytes) throw fail('body_too_large');
  try {
    await read(ctx, async () => {});
  } catch (err) {
    throw translate(err);
  }
}

/** Without the cause: the parsers' errors carry and quote the body. */
function translate(err: unknown): unknown {
  const status = err instanceof Error && 'status' in err ? err.status : undefined;
  if (status === 413) return fail('body_too_large');
  if (status === 415) return fail('unsupported_media_type');
  return status === 400 ? fail('malformed_body') : err;
}

function formFields(form: URLSearchParams): Record<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of form) {
    if (fields.has(name))
      throw fail('duplicate_parameter', { errors: [fault([name], 'given more than once')] });
    if (PROTOTYPE_KEYS.has(name) || isUnstorable(name) || isUnstorable(value)) throw fail('malformed_body');
    fields.set(name, value);
    if (fields.size > BODY_LIMITS.formFields) throw fail('malformed_body');
  }
  return Object.fromEntries(fields);
}

function checkJson(value: unknown, depth = 0): void {
  if (typeof value === 'string' && isUnstorable(value)) throw fail('malformed_body');
  if (typeof value !== 'object' || value === null) return;
  if (depth === BODY_LIMITS.jsonDepth) throw fail('malformed_body');
  for (const [key, member] of Object.entries(value)) {
    if (PROTOTYPE_KEYS.has(key) || isUnstorable(key)) throw fail('malformed_body');
    checkJson(member, depth + 1);
  }
}

/** PostgreSQL has no place for NUL in text, nor for half of a surrogate pair in JSON. */
function isUnstorable(text: string): boolean {
  return text.includes('\0') || !text.isWellFormed();
}

function validate<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw fail('invalid_parameters', {
    errors: result.error.issues.map((issue) => fault(issue.path, issue.message)),
  });
}

function fault(path: readonly PropertyKey[], message: string): FieldError {
  return { path: path.map((key) => `/${escapePointer(String(key))}`).join(''), message };
}

/** RFC 6901 §3. */
function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
