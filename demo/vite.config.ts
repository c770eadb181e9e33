import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Builds the page to what the server serves; in development the API is that of `npm start` on port 3000. */
export default defineConfig({
  root: here("page"),
  plugins: [react()],
  build: { outDir: here("dist/page"), emptyOutDir: true, target: "es2022" },
  server: { proxy: { "/api": "http://localhost:3000" } },
});
