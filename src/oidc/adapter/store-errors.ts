import { errors } from 'oidc-provider';
import { isDatabaseUnavailable } from '../../db/database-errors.ts';
import { AppError } from '../../lib/errors.ts';
import { currentUnitOfWork } from './unit-of-work.ts';

/**
 * The store could not answer. Clients hear `temporarily_unavailable` with 503 (RFC 6749 §4.1.2.1) and
 * keep their tokens: "not found" would make them throw good refresh tokens away.
 */
export class StoreUnavailable extends errors.OIDCProviderError {
  constructor(cause: unknown) {
    super(503, 'temporarily_unavailable');
    this.cause = cause;
    this.expose = true;
    this.allow_redirect = false;
    this.error_description = 'the service is temporarily unavailable, try again in a moment';
  }
}

/**
 * The grant ended while a request was building on it. To an app with a code or refresh token that is the
 * end; an authorization request did nothing wrong and finds its way with another grant.
 */
export class GrantEnded extends errors.InvalidGrant {
  constructor() {
    super('the grant was revoked');
    // RFC 6749 §4.1.2.1 does not know `invalid_grant`.
    this.allow_redirect = false;
  }
}

/** Runs a store operation; every failure but a refusal becomes `StoreUnavailable`. */
export async function guarded<Result>(operation: () => Promise<Result>): Promise<Result> {
  try {
    return await operation();
  } catch (err) {
    if (err instanceof errors.OIDCProviderError || err instanceof AppError) throw err;
    if (err instanceof Error && isDatabaseUnavailable(err)) currentUnitOfWork()?.fail(err);
    throw new StoreUnavailable(err);
  }
}
