import { startTestApp } from './app.ts';

/** A server process of its own, for tests of several replicas; ends with its parent. */
const app = await startTestApp({ env: JSON.parse(process.env['REPLICA_ENV'] ?? '{}') });
process.send?.({ port: app.config.port });
process.once('disconnect', () => {
  void app.close().then(() => process.exit(0));
});
