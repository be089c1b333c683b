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
import { newDeviceSignIn, passwordSignIn } from './sign-in.ts';
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
  newDeviceSignIn,
  apiLogin,
  apiRefresh,
  apiValidate,
  apiDashboard,
];

/**
 * @param wanted names, or beginnings of names that are no name themselves; none: all rows
 * @returns the rows, and what of the wanted there is no row for
 */
export function selectRows(wanted: readonly string[]): { rows: readonly Row[]; unknown: readonly string[] } {
  if (wanted.length === 0) return { rows: ROWS, unknown: [] };
  const isMeant = ({ name }: Row, text: string) =>
    ROWS.some((row) => row.name === text) ? name === text : name.startsWith(text);
  return {
    rows: ROWS.filter((row) => wanted.some((text) => isMeant(row, text))),
    unknown: wanted.filter((text) => !ROWS.some((row) => isMeant(row, text))),
  };
}
