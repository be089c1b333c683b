/** The server for a test file that is run by itself, without TEST_DATABASE_URL. */
export async function fallbackServer(): Promise<string> {
  return 'postgresql://gatehouse:gatehouse@127.0.0.1:5432/postgres';
}
