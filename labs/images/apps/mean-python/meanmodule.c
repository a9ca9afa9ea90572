/* The Python module `mean`, with the function of mean.c. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "mean.h"

static PyObject *of(PyObject *module, PyObject *argument) {
    (void)module;
    PyObject *list = PySequence_Fast(argument, "of() takes a sequence of numbers");
    if (!list)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    double *numbers = PyMem_New(double, count + 1);
    for (Py_ssize_t i = 0; numbers && i < count; i++)
        numbers[i] = PyFloat_AsDouble(PySequence_Fast_GET_ITEM(list, i));
    PyObject *found = NULL;
    if (!numbers)
        PyErr_NoMemory();
    else if (!PyErr_Occurred())
        found = PyFloat_FromDouble(mean(numbers, (size_t)count));
    PyMem_Free(numbers);
    Py_DECREF(list);
    return found;
}

static PyMethodDef functions[] = {
    {"of", of, METH_O, "Return the mean of a sequence of numbers."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "mean", .m_size = 0, .m_methods = functions};

PyMODINIT_FUNC PyInit_mean(void) {
    return PyModuleDef_Init(&definition);
}
