import { z } from 'zod';

export const tokensSchema = z
  .object({
    access_token: z.string(),
    token_type: z.string(),
    expires_in: z.number().int().meta({ description: 'Seconds.' }),
    refresh_token: z.string().optional(),
    refresh_expires_in: z
      .number()
      .int()
      .optional()
      .meta({ description: 'Seconds until the refresh token ends unless it is used before.' }),
    id_token: z.string().optional(),
    scope: z.string(),
    issued_at: z.number().int().meta({ description: 'Seconds since 1970.' }),
    kid: z
      .string()
      .nullable()
      .meta({ description: 'Of the key that signed the access token; null for an opaque one.' }),
  })
  .meta({ id: 'Tokens', description: 'The same tokens as from `/token`.' });

export const EXAMPLE_TOKENS = {
  access_token: 'eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30.c2ln',
  token_type: 'Bearer',
  expires_in: 600,
  refresh_token: 'rt_example',
  refresh_expires_in: 1_209_600,
  id_token: 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.e30.c2ln',
  scope: 'openid profile email account:read account:write',
  issued_at: 1_795_600_800,
  kid: 'k1',
};
