import { defineErrors } from '../lib/errors.ts';

export const fail = defineErrors('client', {
  invalid: { status: 400, message: 'The client cannot be registered like this.' },
  invalid_cursor: { status: 400, message: 'The list cannot be continued from here; start again.' },
  not_found: { status: 404, message: 'There is no client with this id.' },
  id_taken: {
    status: 409,
    message: 'This client id is or was in use; an id is never given out twice. Choose another.',
  },
  no_secret: {
    status: 409,
    message: 'This client does not use a secret (see its token_endpoint_auth_method).',
  },
  too_many_secrets: {
    status: 409,
    message:
      'This client already has two live secrets. Revoke one, wait until the older one expires, or let the old ones expire at once.',
  },
  access_ending: {
    status: 409,
    message:
      'The grants that the client had are still being ended, so that none comes back with it. Try again in a moment.',
  },
  secret_not_found: { status: 404, message: 'The client has no live secret with this hint.' },
});
