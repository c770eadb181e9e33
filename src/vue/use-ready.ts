import { getCurrentInstance, onMounted, type Ref, ref } from "vue";

/**
 * Whether connections may be opened. In a component that is from its mounting on: it is never mounted on a server, and what
 * the server has rendered is taken up before anything changes. In an effect scope of no component it is at once.
 */
export function useReady(): Ref<boolean> {
  const instance = getCurrentInstance();
  const isReady = ref(instance === null || instance.isMounted);
  if (!isReady.value) {
    onMounted(() => {
      isReady.value = true;
    });
  }
  return isReady;
}
