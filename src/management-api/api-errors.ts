import type { EndpointDescription } from '../http/endpoint.ts';
import { errorDefinition } from '../lib/errors.ts';
import type { ErrorDefinition } from '../lib/errors.ts';
import { describeStatus } from '../http/describe-error.ts';

export interface DocumentedError extends ErrorDefinition {
  code: string;
}

const UNAVAILABLE: DocumentedError = {
  code: 'temporarily_unavailable',
  status: 503,
  message: 'The service is briefly unavailable. Try again in a moment.',
};

/** Whatever the endpoint does: what its declaration makes possible. */
function inherentCodes(endpoint: EndpointDescription): string[] {
  const isPublic = endpoint.permission === 'public';
  return [
    'http.invalid_parameters',
    'http.duplicate_parameter',
    ...(isPublic ? [] : ['http.unauthorized', 'http.invalid_token']),
    ...(isPublic ? [] : ['http.forbidden']),
    ...(endpoint.clientCredentials ? ['http.invalid_client'] : []),
    ...(endpoint.params ? ['http.not_found'] : []),
    'http.not_acceptable',
    ...(endpoint.body ? ['http.malformed_body', 'http.body_too_large', 'http.unsupported_media_type'] : []),
    ...(endpoint.ifMatch ? ['http.precondition_failed'] : []),
    ...(endpoint.ifMatch === 'required' ? ['http.precondition_required'] : []),
    ...(endpoint.idempotent
      ? ['http.bad_idempotency_key', 'idempotency.key_reused', 'idempotency.in_progress']
      : []),
    'http.too_many_requests',
  ];
}

/**
 * Every code an endpoint can answer with.
 * @throws {Error} for a code that nobody defines
 */
export function errorsOf(endpoint: EndpointDescription): DocumentedError[] {
  const codes = new Set([...inherentCodes(endpoint), ...endpoint.errors]);
  const known = [...codes].map((code) => {
    const definition = errorDefinition(code);
    if (!definition) throw new Error(`${endpoint.id} declares the error ${code}, which is not defined`);
    return { code, ...definition };
  });
  return [...known, UNAVAILABLE, { ...describeStatus(500) }].toSorted(
    (a, b) => a.status - b.status || (a.code < b.code ? -1 : 1),
  );
}
