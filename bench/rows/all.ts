import { apiDashboard, apiLogin, apiRefresh, apiValidate } from './api.ts';
import {
  clientCredentialsEs256,
  clientCredentialsMany,
  clientCredentialsOpaque,
  clientCredentialsRs256,
} from './client-credentials.ts';
import { codeExchange } from './code-exchange.ts';
import { discovery, jwks } from './documents.ts';
import { refresh } from './refresh.ts';
import type { Row } from './row.ts';
import { passwordSignIn } from './sign-in.ts';
import { introspection, userinfo } from './token-use.ts';

/** In the order of the table. */
export const ROWS: readonly Row[] = [
  discovery,
  jwks,
  clientCredentialsRs256,
  clientCredentialsEs256,
  clientCredentialsMany,
  clientCredentialsOpaque,
  introspection,
  userinfo,
  refresh,
  codeExchange,
  passwordSignIn,
  apiLogin,
  apiRefresh,
  apiValidate,
  apiDashboard,
];
