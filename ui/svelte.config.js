// Runes everywhere: a component that falls back to Svelte 4's reactivity does not compile.
export default { compilerOptions: { runes: true } };
