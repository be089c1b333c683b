import { ServerResponse } from 'node:http';
import { registerHooks } from 'node:module';
import { chosenBrokenAdapter } from './chosen-broken-adapter.ts';

/**
 * Preloaded into a server process (`--import`): the server is the real one, but the modules that open the
 * database and derive keys are wrapped, so that it behaves like the adapter FAULTS_BROKEN_ADAPTER names.
 */
const WRAPPED = new Map([
  [urlOf('../../../src/db/database.ts'), urlOf('./broken-database.ts')],
  [urlOf('../../../src/lib/key-ring.ts'), urlOf('./broken-key-ring.ts')],
]);

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const wrapper = WRAPPED.get(resolved.url);
    // The wrapper itself gets what it wraps.
    return wrapper === undefined || context.parentURL === wrapper ? resolved : { ...resolved, url: wrapper };
  },
});

if (chosenBrokenAdapter().hidesRetryAfter) {
  const setHeader: unknown = Reflect.get(ServerResponse.prototype, 'setHeader');
  ServerResponse.prototype.setHeader = function (name, value) {
    if (name.toLowerCase() !== 'retry-after' && typeof setHeader === 'function')
      Reflect.apply(setHeader, this, [name, value]);
    return this;
  };
}

function urlOf(path: string): string {
  return new URL(path, import.meta.url).href;
}
