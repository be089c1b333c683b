/** The PostgreSQL server the tests run on: the one TEST_DATABASE_URL names, or one of their own. */
export async function startTestServer(_scratch: string): Promise<{ url: string; stop(): Promise<void> }> {
  const { TEST_DATABASE_URL: url } = process.env;
  if (!url) throw new Error('Set TEST_DATABASE_URL to a PostgreSQL server');
  return { url, stop: async () => {} };
}
