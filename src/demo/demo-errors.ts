import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';

/** What the error page says: in words first, the protocol's own terms below. */
export interface DemoProblem {
  status: number;
  title: string;
  text: string;
  /** The OAuth error and its description, when the server answered with one. */
  code?: string | undefined;
  description?: string | undefined;
}

const MEANING: Record<string, { title: string; text: string }> = {
  access_denied: {
    title: 'You did not sign in',
    text: 'The sign-in was cancelled, or sharing your details with this application was declined. Nothing was shared.',
  },
  login_required: {
    title: 'Sign in first',
    text: 'The server has no session for you, and may not ask for one now.',
  },
  consent_required: {
    title: 'Your consent is needed',
    text: 'The server may not ask you now; sign in once more.',
  },
  interaction_required: {
    title: 'You are needed',
    text: 'The server has to ask you something; sign in once more.',
  },
  invalid_grant: {
    title: 'Your access has ended',
    text: 'The server no longer accepts what this application holds: it expired, was used before, or was revoked. Sign in again.',
  },
  invalid_client: {
    title: 'The server does not know this application',
    text: 'Its registration is missing or differs. Restart the server: it registers the demo anew.',
  },
  invalid_target: {
    title: 'The server does not know the sample API',
    text: 'Its registration is missing. Restart the server: it registers the demo anew.',
  },
  invalid_scope: {
    title: 'Too much was asked for',
    text: 'This application may not ask for one of the permissions.',
  },
  temporarily_unavailable: {
    title: 'The server is busy',
    text: 'It cannot answer at the moment. Try again shortly.',
  },
  server_error: {
    title: 'The server failed',
    text: 'Something went wrong on the server. Its log says what.',
  },
};

/** Another browser, a second use, or the server was restarted meanwhile: the demo cannot tell which. */
export const UNKNOWN_ATTEMPT: DemoProblem = {
  status: 400,
  title: 'This sign-in cannot be finished here',
  text: 'It was begun in another browser, was finished already, or is too old. Start again.',
};

export const FOREIGN_FORM: DemoProblem = {
  status: 403,
  title: 'This page is out of date',
  text: 'The form does not belong to your current session, so nothing was done. Go back to the demo and try again.',
};

/**
 * Only what the server said becomes visible; anything else stays in the log.
 * @returns nothing for an error that is no failed call, but a fault of the demo
 */
export function explain(err: unknown): DemoProblem | undefined {
  if (err instanceof AuthorizationResponseError) return fromServer(err.error, err.error_description, 400);
  if (err instanceof ResponseBodyError) return fromServer(err.error, err.error_description, 502);
  if (err instanceof ClientError) return { ...UNACCEPTABLE, code: err.code };
  return isNetworkFailure(err) ? UNREACHABLE : undefined;
}

const UNACCEPTABLE: DemoProblem = {
  status: 502,
  title: 'The answer did not pass the checks',
  text: 'The server answered in a way that this application must not accept, or took too long.',
};

const UNREACHABLE: DemoProblem = {
  status: 502,
  title: 'The server cannot be reached',
  text: 'This application could not talk to the server. Check that PUBLIC_URL can be reached from here.',
};

/** What fetch throws when there is no answer at all. */
function isNetworkFailure(err: unknown): boolean {
  if (err instanceof TypeError) return err.message === 'fetch failed';
  return err instanceof DOMException && err.name === 'TimeoutError';
}

export function hasEndedGrant(err: unknown): boolean {
  return err instanceof ResponseBodyError && err.error === 'invalid_grant';
}

function fromServer(code: string, description: string | undefined, status: number): DemoProblem {
  const meaning = MEANING[code] ?? {
    title: 'The server refused',
    text: 'It answered with the error below.',
  };
  return { status, ...meaning, code, description };
}
