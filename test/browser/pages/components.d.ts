/** Components, which the compiler of Svelte makes. */
declare module "*.svelte" {
  import type { Component } from "svelte";

  const component: Component<{ url: string; id: string }>;
  export default component;
}
