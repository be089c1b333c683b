/**
 * Refuses a caller: what happened, in words the caller may see, with a stable code and an HTTP status.
 * Anything else that is thrown is a bug and leaves as a bare 500.
 */
export class AppError extends Error {
  readonly code: string;
  readonly status: number;
  /** Field faults, `path` as a JSON pointer. */
  readonly errors: readonly FieldError[];
  /** Seconds after which a retry makes sense; becomes `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: string, status: number, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.status = status;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

export interface FieldError {
  path: string;
  /** A sentence in English, for APIs. */
  message: string;
  /** What screens look up to say the same in another language, such as `password.too_short`, and what goes into it. */
  code?: string;
  values?: Readonly<Record<string, string | number>>;
}

interface AppErrorOptions {
  cause?: unknown;
  errors?: readonly FieldError[];
  retryAfterSeconds?: number;
}

export interface ErrorDefinition {
  status: number;
  message: string;
}

const definitions = new Map<string, ErrorDefinition>();

/** Of a code that some feature declares; for the documentation. */
export function errorDefinition(code: string): ErrorDefinition | undefined {
  return definitions.get(code);
}

/**
 * Declares a feature's errors in one place.
 * @returns a function that builds the `AppError` of a name; its code is `<prefix>.<name>`
 */
export function defineErrors<Name extends string>(
  prefix: string,
  own: Readonly<Record<Name, ErrorDefinition>>,
) {
  for (const [name, definition] of Object.entries<ErrorDefinition>(own))
    definitions.set(`${prefix}.${name}`, definition);
  return (name: Name, options: AppErrorOptions & { message?: string } = {}): AppError => {
    const { status, message } = own[name];
    return new AppError(`${prefix}.${name}`, status, options.message ?? message, options);
  };
}
