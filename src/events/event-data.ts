/** Both halves of a change to the largest request body still fit. */
const MAX_BYTES = 256 * 1024;
const MAX_DEPTH = 12;

// Names a secret goes by: an audit row outlives the secret and is read by more people.
const SECRET_NAMES = new Set([
  'password',
  'secret',
  'client_secret',
  'clientsecret',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'private_jwk',
]);

/**
 * JSON for an event's `data`. What JSON would drop or distort without a word (functions, class
 * instances, buffers, NaN) is refused, because an audit record that silently lacks a part is worse
 * than a loud bug. Dates become RFC 3339 text; undefined members are left out.
 *
 * @throws {TypeError} for such values, for members named like a secret, and beyond 256 KiB
 */
export function serializeEventData(data: Record<string, unknown>): string {
  const json = JSON.stringify(plain(data, 'data', 0));
  if (Buffer.byteLength(json) > MAX_BYTES) {
    throw new TypeError(`event data of ${Buffer.byteLength(json)} bytes is over ${MAX_BYTES}`);
  }
  return json;
}

function plain(value: unknown, path: string, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new TypeError(`event data is nested too deep at ${path}`);
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') return storable(value);
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item, index) => plain(item, `${path}[${index}]`, depth + 1));
  if (isPlainObject(value)) return plainObject(value, path, depth);
  throw new TypeError(`event data cannot hold ${describe(value)} at ${path}`);
}

function plainObject(value: object, path: string, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  for (const [name] of entries) {
    if (SECRET_NAMES.has(name.toLowerCase())) {
      throw new TypeError(`event data must not hold a secret: ${path}.${name}`);
    }
  }
  return Object.fromEntries(
    entries.map(([name, member]) => [storable(name), plain(member, `${path}.${name}`, depth + 1)]),
  );
}

/** `jsonb` refuses NUL and lone surrogates, which a visitor can put into any text. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null ? value.constructor.name : typeof value;
}
