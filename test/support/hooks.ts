import { cleanUp } from './cleanup.ts';
import { closeDatabases } from './database.ts';

export const mochaHooks = {
  afterEach: (): Promise<void> => cleanUp('test'),

  async afterAll(): Promise<void> {
    await cleanUp('file');
    await closeDatabases();
  },
};
