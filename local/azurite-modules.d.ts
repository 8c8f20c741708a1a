/** Azurite has no types; its files are CommonJS. */
declare module 'azurite/dist/src/*' {
  const exported: { readonly default: unknown };
  export default exported;
}
