import { keepCompiledCode } from './compiledCode.ts';

// Before any other module is loaded: what is imported as usual is compiled before this line runs.
keepCompiledCode();
await import('./process.ts');
