"""Light and skin: the warp kernel that colours the visible surface of a head (CPU and CUDA)."""

import warp as wp

from aufaces import heads
from aufaces.visibility import EMPTY, NEARNESS_STEPS, lattice_point

SKIN, EYE_LEFT, EYE_RIGHT = wp.constant(heads.SKIN), wp.constant(heads.EYE_LEFT), wp.constant(heads.EYE_RIGHT)
TEETH, TONGUE = wp.constant(heads.TEETH), wp.constant(heads.TONGUE)

LIGHT_HEIGHT = 4.0  # keeps heights above the plane of the light positive

# Warp would print a line for every module it loads, in the middle of a progress bar
wp.config.log_level = getattr(wp, "LOG_ERROR", wp.config.log_level)


@wp.struct
class Scene:
    """Everything one picture needs besides the mesh; lengths in decimetres, frame of the head."""

    eye: wp.vec3  # camera position
    key_direction: wp.vec3
    key: wp.vec3
    fill_direction: wp.vec3
    fill: wp.vec3
    rim_direction: wp.vec3
    rim: wp.vec3
    sky: wp.vec3
    ground: wp.vec3
    up: wp.vec3
    shadow: float  # 0 none .. 1 black
    gloss: float
    skin: wp.vec3
    lips: wp.vec3
    hair: wp.vec3
    cloth: wp.vec3
    iris: wp.vec3
    pupil: float  # radians
    iris_size: float  # radians
    gaze_left: wp.vec3
    gaze_right: wp.vec3
    centre_left: wp.vec3
    centre_right: wp.vec3
    teeth: wp.vec3
    mouth_front: float  # z of the lips; the mouth darkens behind it
    strands: float
    stride: int  # of the lattice of samples in a pixel
    lit_middle: wp.vec3  # the middle of the shadow map; steps from there times light_right, light_up: texels
    light_right: wp.vec3
    light_up: wp.vec3
    paint_left: float  # paint rectangle in template x, y
    paint_top: float
    paint_scale: float  # texels per decimetre


@wp.func
def texel(paint: wp.array2d(dtype=wp.vec3), x: float, y: float):
    rows = paint.shape[0]
    columns = paint.shape[1]
    cx = wp.clamp(x, 0.0, float(columns) - 1.001)
    cy = wp.clamp(y, 0.0, float(rows) - 1.001)
    i = int(cx)
    j = int(cy)
    fx = cx - float(i)
    fy = cy - float(j)
    top = paint[j, i] * (1.0 - fx) + paint[j, i + 1] * fx
    bottom = paint[j + 1, i] * (1.0 - fx) + paint[j + 1, i + 1] * fx
    return top * (1.0 - fy) + bottom * fy


@wp.func
def ramp(low: float, high: float, x: float):
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def wrapped(cosine: float, wrap: wp.vec3):
    """Wrapped diffuse light: it reaches past the terminator, red furthest, as in skin."""
    return wp.vec3(
        wp.max(0.0, (cosine + wrap[0]) / (1.0 + wrap[0])),
        wp.max(0.0, (cosine + wrap[1]) / (1.0 + wrap[1])),
        wp.max(0.0, (cosine + wrap[2]) / (1.0 + wrap[2])),
    )


@wp.func
def eye_colour(s: Scene, p: wp.vec3, centre: wp.vec3, gaze: wp.vec3):
    """Albedo on the eyeball from the angle to the line of gaze."""
    d = wp.normalize(p - centre)
    angle = wp.acos(wp.clamp(wp.dot(d, gaze), -1.0, 1.0))
    white = wp.vec3(0.80, 0.76, 0.73) - wp.vec3(0.0, 0.10, 0.10) * ramp(0.7, 1.3, angle)
    streak = 0.9 + 0.1 * wp.sin(90.0 * d[0]) * wp.sin(90.0 * d[1])
    iris = s.iris * streak * (0.75 + 0.5 * ramp(s.pupil, s.iris_size * 0.75, angle))
    iris = iris * (1.0 - 0.65 * ramp(s.iris_size * 0.78, s.iris_size, angle))
    iris = iris * ramp(s.pupil * 0.85, s.pupil * 1.1, angle)
    edge = ramp(s.iris_size * 0.93, s.iris_size * 1.08, angle)
    return iris * (1.0 - edge) + white * edge


@wp.func
def display(linear: float):
    """Linear light to a display value in [0, 1], with a soft shoulder so that highlights keep their hue."""
    soft = linear
    if linear > 0.7:
        soft = 0.7 + 0.3 * (1.0 - wp.exp((0.7 - linear) / 0.3))
    return wp.pow(wp.clamp(soft, 0.0, 1.0), 1.0 / 2.2)


@wp.func
def highlight(cosine: float, doublings: int):
    """cosine to the power 2 ** doublings, none behind."""
    value = wp.max(0.0, cosine)
    for _ in range(doublings):
        value = value * value
    return value


@wp.func
def place(a: wp.vec3, b: wp.vec3, c: wp.vec3, x: float, y: float):
    """Weights of a triangle's corners at a point of the screen, corrected for perspective."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    v = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
    w = ((y - a[1]) * (b[0] - a[0]) - (x - a[0]) * (b[1] - a[1])) / area
    weights = wp.vec3((1.0 - v - w) * a[2], v * b[2], w * c[2])
    return weights / (weights[0] + weights[1] + weights[2])


@wp.func
def unshadowed(s: Scene, light_map: wp.array3d(dtype=wp.uint64), p: wp.vec3):
    """Share of the key light that reaches a point: four texels of the shadow map, compared and blended."""
    d = p - s.lit_middle
    side = light_map.shape[1]
    middle = 0.5 * (float(side) - 1.0)
    x = middle + wp.dot(s.light_right, d)
    y = middle - wp.dot(s.light_up, d)
    free = float(1.0)  # noqa: UP018 (a warp variable, not a constant)
    if x > 0.0 and y > 0.0 and x < float(side) - 1.001 and y < float(side) - 1.001:
        i = int(x)
        j = int(y)
        fx = x - float(i)
        fy = y - float(j)
        height = wp.uint64((wp.dot(s.key_direction, d) + LIGHT_HEIGHT) * NEARNESS_STEPS) << wp.uint64(32)
        if light_map[0, j, i] > height:
            free -= (1.0 - fx) * (1.0 - fy)
        if light_map[0, j, i + 1] > height:
            free -= fx * (1.0 - fy)
        if light_map[0, j + 1, i] > height:
            free -= (1.0 - fx) * fy
        if light_map[0, j + 1, i + 1] > height:
            free -= fx * fy
    return free


@wp.struct
class Surface:
    """What the light meets at one point of the head."""

    albedo: wp.vec3
    normal: wp.vec3  # unit, head frame
    gloss: float  # strength of the highlight
    sharp: int  # the highlight's exponent is 2 ** sharp
    dim: float  # share of the light that reaches a cavity or a fold, in [0, 1]


@wp.func
def blend(a: wp.vec3, b: wp.vec3, c: wp.vec3, weights: wp.vec3):
    """Values at the corners of a triangle, interpolated."""
    return a * weights[0] + b * weights[1] + c * weights[2]


@wp.func
def eyeball(mesh: wp.uint64, s: Scene, p: wp.vec3, centre: wp.vec3, gaze: wp.vec3):
    """A wet ball, darker under the upper lid."""
    found = Surface()
    found.albedo = eye_colour(s, p, centre, gaze)
    found.normal = wp.normalize(p - centre)
    found.gloss = 0.9
    found.sharp = 7
    found.dim = 1.0
    lid = wp.normalize(wp.vec3(0.0, 0.75, 0.65))
    if wp.mesh_query_ray_anyhit(mesh, p + found.normal * 0.004, lid, 0.11):
        found.dim = 0.62
    return found


@wp.func
def inside_mouth(s: Scene, part: int, p: wp.vec3, n: wp.vec3):
    """Teeth, tongue or the lining of the mouth, darker the farther behind the lips."""
    found = Surface()
    found.normal = n
    if part == TEETH:
        found.albedo = s.teeth
        found.gloss = 0.35
        found.sharp = 6
        found.dim = wp.clamp(1.0 - 2.6 * (s.mouth_front - 0.10 - p[2]), 0.12, 1.0)
    elif part == TONGUE:
        found.albedo = wp.vec3(0.55, 0.24, 0.23)
        found.gloss = 0.3
        found.sharp = 4
        found.dim = wp.clamp(1.0 - 2.2 * (s.mouth_front - 0.10 - p[2]), 0.1, 0.9)
    else:
        found.albedo = wp.vec3(0.30, 0.10, 0.09)
        found.gloss = 0.15
        found.sharp = 4
        found.dim = wp.clamp(1.0 - 5.0 * (s.mouth_front - 0.09 - p[2]), 0.05, 1.0)
    return found


@wp.func
def painted_skin(
    s: Scene,
    colour_paint: wp.array2d(dtype=wp.vec3),
    relief_paint: wp.array2d(dtype=wp.vec3),
    q: wp.vec3,
    n: wp.vec3,
    front: float,
):
    """Skin with its paint and folds; they fade towards the side of the head, where `front` is 0."""
    found = Surface()
    found.albedo = s.skin
    found.normal = n
    found.gloss = s.gloss
    found.sharp = 4
    found.dim = 1.0
    if front > 0.0:
        tx = (q[0] - s.paint_left) * s.paint_scale
        ty = (s.paint_top - q[1]) * s.paint_scale
        tone = texel(colour_paint, tx, ty)
        relief = texel(relief_paint, tx, ty) * front
        found.albedo = wp.cw_mul(s.skin, tone * front + wp.vec3(1.0, 1.0, 1.0) * (1.0 - front))
        found.normal = wp.normalize(n - wp.vec3(relief[0], relief[1], 0.0))
        found.dim = 1.0 - wp.clamp(relief[2], 0.0, 0.85)
    return found


@wp.func
def cover_skin(s: Scene, skin: Surface, q: wp.vec3, face_marks: wp.vec3, cloth_mark: float):
    """Skin under lip red, lashes, hair and cloth, in this order; face_marks: lips, lash line, hair."""
    albedo = skin.albedo
    gloss = skin.gloss
    n = skin.normal
    lip = ramp(0.30, 0.62, face_marks[0])
    albedo = albedo * (1.0 - lip) + s.lips * lip
    gloss = gloss * (1.0 + 1.2 * lip)
    lash = wp.clamp(face_marks[1], 0.0, 1.0)
    albedo = albedo * (1.0 - 0.9 * lash) + wp.vec3(0.03, 0.02, 0.02) * 0.9 * lash
    if face_marks[2] > 0.25:  # below that no strand covers the skin
        wave = wp.sin(3.1 * q[1] + 7.0 * q[2]) * 1.7
        strand = 0.5 + 0.25 * (
            wp.sin(s.strands * (q[0] * 2.3 + wave * 0.3))
            + wp.sin(s.strands * (2.9 * q[2] - q[0]) + 2.0 * wave)
        )
        cover = ramp(0.32, 0.55, face_marks[2] + 0.14 * (strand - 0.5))
        albedo = albedo * (1.0 - cover) + s.hair * (0.55 + 0.9 * strand) * cover
        gloss = gloss * (1.0 - cover) + 0.22 * cover
        n = wp.normalize(n + wp.vec3(strand - 0.5, 0.0, 0.0) * 0.5 * cover)
    cloth = ramp(0.4, 0.5, cloth_mark)
    covered = Surface()
    covered.albedo = albedo * (1.0 - cloth) + s.cloth * cloth
    covered.normal = n
    covered.gloss = gloss * (1.0 - cloth)
    covered.sharp = skin.sharp
    covered.dim = skin.dim
    return covered


@wp.func
def surface_at(
    mesh: wp.uint64,
    s: Scene,
    part: int,
    p: wp.vec3,
    q: wp.vec3,
    n: wp.vec3,
    face_marks: wp.vec3,
    head_marks: wp.vec3,
    colour_paint: wp.array2d(dtype=wp.vec3),
    relief_paint: wp.array2d(dtype=wp.vec3),
):
    """The surface at point p of a part of the head; q is the same point on the neutral template."""
    if part == EYE_LEFT:
        return eyeball(mesh, s, p, s.centre_left, s.gaze_left)
    if part == EYE_RIGHT:
        return eyeball(mesh, s, p, s.centre_right, s.gaze_right)
    if part != SKIN:
        return inside_mouth(s, part, p, n)
    skin = painted_skin(s, colour_paint, relief_paint, q, n, ramp(0.15, 0.45, head_marks[1]))
    return cover_skin(s, skin, q, face_marks, head_marks[0])


@wp.func
def reflected(s: Scene, surface: Surface, ray: wp.vec3, lit: float, open: float):
    """Linear colour of a surface under sky, key, fill and rim light.

    ray: unit, from the camera to the point. lit: share of the key light. open: share of the sky.
    """
    n = surface.normal
    wrap = wp.vec3(0.35, 0.18, 0.12)
    sky = 0.5 + 0.5 * wp.dot(n, s.up)
    light = (s.ground * (1.0 - sky) + s.sky * sky) * (0.25 + 0.75 * open)
    light += wp.cw_mul(s.key, wrapped(wp.dot(n, s.key_direction), wrap)) * lit
    light += wp.cw_mul(s.fill, wrapped(wp.dot(n, s.fill_direction), wrap))
    light += wp.cw_mul(s.rim, wrapped(wp.dot(n, s.rim_direction), wp.vec3(0.05, 0.05, 0.05)))
    half_key = wp.normalize(s.key_direction - ray)
    half_fill = wp.normalize(s.fill_direction - ray)
    slant = 1.0 - wp.clamp(-wp.dot(n, ray), 0.0, 1.0)
    graze = 0.35 + 0.65 * slant * slant * slant
    shine = s.key * highlight(wp.dot(n, half_key), surface.sharp) * lit
    shine += s.fill * highlight(wp.dot(n, half_fill), surface.sharp)
    dim = surface.dim * (0.55 + 0.45 * open)
    return wp.cw_mul(surface.albedo, light) * dim + shine * (surface.gloss * graze * dim)


@wp.kernel(enable_backward=False)
def shade(
    mesh: wp.uint64,
    scene: wp.array(dtype=Scene),
    nearest: wp.array3d(dtype=wp.uint64),
    light_map: wp.array3d(dtype=wp.uint64),
    screen: wp.array(dtype=wp.vec3),
    points: wp.array(dtype=wp.vec3),
    triangles: wp.array2d(dtype=int),
    normals: wp.array(dtype=wp.vec3),
    canonical: wp.array(dtype=wp.vec3),
    face_marks: wp.array(dtype=wp.vec3),
    head_marks: wp.array(dtype=wp.vec3),
    part: wp.array(dtype=int),
    colour_paint: wp.array2d(dtype=wp.vec3),
    relief_paint: wp.array2d(dtype=wp.vec3),
    image: wp.array2d(dtype=wp.vec4),
):
    """Display colour (not multiplied by alpha) and alpha of every pixel, the mean over its samples.

    Args:
        nearest: (samples, H, W) keys of visibility.rasterise.
        light_map: (1, side, side) keys seen from the key light.
        screen, points, normals, canonical: (V,) vertices as column, row and nearness; in the head frame;
            their normals; in the neutral template.
        triangles: (T, 3).  part: (V,) of heads.SKIN .. CAVITY.
        face_marks, head_marks: (V,) lips, lash line, hair; cloth, front of the face, openness to the sky.
        colour_paint, relief_paint: (ROWS, COLUMNS) of painting.
        image: (H, W), written.
    """
    row, column = wp.tid()
    samples = nearest.shape[0]
    seen = int(0)  # noqa: UP018 (a warp variable, not a constant)
    for sub in range(samples):
        if nearest[sub, row, column] != wp.uint64(EMPTY):
            seen = 1
    if seen == 0:
        image[row, column] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    s = scene[0]
    total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    lit = float(1.0)  # noqa: UP018 (a warp variable, not a constant)
    lit_known = int(0)  # noqa: UP018
    for sub in range(samples):
        key = nearest[sub, row, column]
        if key != wp.uint64(EMPTY):
            # 1. the point of the triangle under the sample
            face = int(key & wp.uint64(0xFFFFFFFF)) - 1
            a = triangles[face, 0]
            b = triangles[face, 1]
            c = triangles[face, 2]
            shift = lattice_point(sub, samples, s.stride)
            w = place(screen[a], screen[b], screen[c], float(column) + shift[0], float(row) + shift[1])
            p = blend(points[a], points[b], points[c], w)
            q = blend(canonical[a], canonical[b], canonical[c], w)
            n = wp.normalize(blend(normals[a], normals[b], normals[c], w))
            on_face = blend(face_marks[a], face_marks[b], face_marks[c], w)
            on_head = blend(head_marks[a], head_marks[b], head_marks[c], w)
            kind = wp.min(part[a], wp.min(part[b], part[c]))

            # 2. its surface, with a normal that faces the camera
            surface = surface_at(mesh, s, kind, p, q, n, on_face, on_head, colour_paint, relief_paint)
            ray = wp.normalize(p - s.eye)
            n = surface.normal
            if wp.dot(n, ray) > 0.0:
                n = wp.normalize(n - ray * (wp.dot(n, ray) * 1.02))
            surface.normal = n

            # 3. the light it receives and sends to the camera; one shadow test per pixel is enough
            if lit_known == 0 and s.shadow > 0.0 and wp.dot(n, s.key_direction) > -0.1:
                lit_known = 1
                lit = 1.0 - s.shadow * (1.0 - unshadowed(s, light_map, p + n * 0.04))
            colour = reflected(s, surface, ray, lit, wp.clamp(on_head[2], 0.0, 1.0))
            total += wp.vec4(colour[0], colour[1], colour[2], 1.0)
    alpha = total[3] / float(samples)
    if total[3] > 0.0:
        total = total / total[3]
    image[row, column] = wp.vec4(display(total[0]), display(total[1]), display(total[2]), alpha)


@wp.kernel(enable_backward=False)
def openness(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    share: wp.array(dtype=float),
):
    """How much of the hemisphere above each vertex is free of the head itself (64 rays, within 1.5 dm)."""
    i = wp.tid()
    n = normals[i]
    helper = wp.vec3(0.0, 1.0, 0.0)
    if wp.abs(n[1]) > 0.9:
        helper = wp.vec3(1.0, 0.0, 0.0)
    t = wp.normalize(wp.cross(n, helper))
    b = wp.cross(n, t)
    free = float(0.0)  # noqa: UP018
    for k in range(64):
        height = wp.sqrt((float(k) + 0.5) / 64.0)
        turn = 2.3999632 * float(k)
        flat = wp.sqrt(1.0 - height * height)
        ray = n * height + t * (flat * wp.cos(turn)) + b * (flat * wp.sin(turn))
        hit = wp.mesh_query_ray(mesh, points[i] + n * 0.012, ray, 1.5)
        if not hit.result:
            free += 1.0
    share[i] = free / 64.0
