"""Light and skin: the warp kernel that colours what is seen of a head (CPU and CUDA alike)."""

import warp as wp

from aufaces.visibility import EMPTY, NEARNESS_STEPS

LIGHT_HEIGHT = 4.0  # keeps heights above the plane of the light positive

# Warp announces every module it loads, in the middle of a progress bar
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
    eye_radius: float
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
    """Diffuse light that creeps round the terminator, red furthest: the look of skin."""
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
    marks: wp.array(dtype=wp.vec3),
    marks2: wp.array(dtype=wp.vec3),
    part: wp.array(dtype=int),
    colour_paint: wp.array2d(dtype=wp.vec3),
    relief_paint: wp.array2d(dtype=wp.vec3),
    image: wp.array2d(dtype=wp.vec4),
):
    """Display colour (not multiplied by alpha) and alpha of every pixel, the mean over its samples."""
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
    asked = int(0)  # noqa: UP018
    for sub in range(samples):
        found = nearest[sub, row, column]
        if found != wp.uint64(EMPTY):
            face = int(found & wp.uint64(0xFFFFFFFF)) - 1
            a = triangles[face, 0]
            b = triangles[face, 1]
            c = triangles[face, 2]
            x = float(column) + (float(sub) + 0.5) / float(samples) - 0.5
            y = float(row) + (float((sub * s.stride) % samples) + 0.5) / float(samples) - 0.5
            w = place(screen[a], screen[b], screen[c], x, y)
            p = points[a] * w[0] + points[b] * w[1] + points[c] * w[2]
            ray = wp.normalize(p - s.eye)
            n = wp.normalize(normals[a] * w[0] + normals[b] * w[1] + normals[c] * w[2])
            q = canonical[a] * w[0] + canonical[b] * w[1] + canonical[c] * w[2]
            m = marks[a] * w[0] + marks[b] * w[1] + marks[c] * w[2]  # lips, lash line, hair
            m2 = (
                marks2[a] * w[0] + marks2[b] * w[1] + marks2[c] * w[2]
            )  # cloth, front of face, open to the sky
            kind = part[a]
            if part[b] < kind:
                kind = part[b]
            if part[c] < kind:
                kind = part[c]
            albedo = wp.vec3(0.5, 0.5, 0.5)
            gloss = s.gloss
            sharp = int(4)  # noqa: UP018
            dim = float(1.0)  # noqa: UP018
            wrap = wp.vec3(0.35, 0.18, 0.12)
            if kind == 1 or kind == 2:
                centre = s.centre_left
                gaze = s.gaze_left
                if kind == 2:
                    centre = s.centre_right
                    gaze = s.gaze_right
                albedo = eye_colour(s, p, centre, gaze)
                n = wp.normalize(p - centre)
                gloss = 0.9
                sharp = 7
                lid = wp.normalize(wp.vec3(0.0, 0.75, 0.65))
                if wp.mesh_query_ray_anyhit(mesh, p + n * 0.004, lid, 0.11):
                    dim = 0.62
            elif kind == 3:
                albedo = s.teeth
                gloss = 0.35
                sharp = 6
                dim = wp.clamp(1.0 - 2.6 * (s.mouth_front - 0.10 - p[2]), 0.12, 1.0)
            elif kind == 4:
                albedo = wp.vec3(0.55, 0.24, 0.23)
                gloss = 0.3
                dim = wp.clamp(1.0 - 2.2 * (s.mouth_front - 0.10 - p[2]), 0.1, 0.9)
            elif kind == 5:
                albedo = wp.vec3(0.30, 0.10, 0.09)
                gloss = 0.15
                dim = wp.clamp(1.0 - 5.0 * (s.mouth_front - 0.09 - p[2]), 0.05, 1.0)
            else:
                albedo = s.skin
                front = ramp(0.15, 0.45, m2[1])
                if front > 0.0:
                    tx = (q[0] - s.paint_left) * s.paint_scale
                    ty = (s.paint_top - q[1]) * s.paint_scale
                    tone = texel(colour_paint, tx, ty)
                    relief = texel(relief_paint, tx, ty) * front
                    albedo = wp.cw_mul(s.skin, tone * front + wp.vec3(1.0, 1.0, 1.0) * (1.0 - front))
                    n = wp.normalize(n - wp.vec3(relief[0], relief[1], 0.0))
                    dim = 1.0 - wp.clamp(relief[2], 0.0, 0.85)
                lip = ramp(0.30, 0.62, m[0])
                albedo = albedo * (1.0 - lip) + s.lips * lip
                gloss = gloss * (1.0 + 1.2 * lip)
                lash = wp.clamp(m[1], 0.0, 1.0)
                albedo = albedo * (1.0 - 0.9 * lash) + wp.vec3(0.03, 0.02, 0.02) * 0.9 * lash
                if m[2] > 0.25:  # no strand of hair covers where there is less
                    wave = wp.sin(3.1 * q[1] + 7.0 * q[2]) * 1.7
                    strand = 0.5 + 0.25 * (
                        wp.sin(s.strands * (q[0] * 2.3 + wave * 0.3))
                        + wp.sin(s.strands * (2.9 * q[2] - q[0]) + 2.0 * wave)
                    )
                    cover = ramp(0.32, 0.55, m[2] + 0.14 * (strand - 0.5))
                    albedo = albedo * (1.0 - cover) + s.hair * (0.55 + 0.9 * strand) * cover
                    gloss = gloss * (1.0 - cover) + 0.22 * cover
                    n = wp.normalize(n + wp.vec3(strand - 0.5, 0.0, 0.0) * 0.5 * cover)
                cloth = ramp(0.4, 0.5, m2[0])
                albedo = albedo * (1.0 - cloth) + s.cloth * cloth
                gloss = gloss * (1.0 - cloth)
            if wp.dot(n, ray) > 0.0:
                n = wp.normalize(n - ray * (wp.dot(n, ray) * 1.02))
            if asked == 0 and s.shadow > 0.0 and wp.dot(n, s.key_direction) > -0.1:
                asked = 1  # one look towards the light serves the whole pixel
                lit = 1.0 - s.shadow * (1.0 - unshadowed(s, light_map, p + n * 0.04))
            sky = 0.5 + 0.5 * wp.dot(n, s.up)
            open = wp.clamp(m2[2], 0.0, 1.0)
            light = (s.ground * (1.0 - sky) + s.sky * sky) * (0.25 + 0.75 * open)
            dim = dim * (0.55 + 0.45 * open)
            light += wp.cw_mul(s.key, wrapped(wp.dot(n, s.key_direction), wrap)) * lit
            light += wp.cw_mul(s.fill, wrapped(wp.dot(n, s.fill_direction), wrap))
            light += wp.cw_mul(s.rim, wrapped(wp.dot(n, s.rim_direction), wp.vec3(0.05, 0.05, 0.05)))
            half_key = wp.normalize(s.key_direction - ray)
            half_fill = wp.normalize(s.fill_direction - ray)
            slant = 1.0 - wp.clamp(-wp.dot(n, ray), 0.0, 1.0)
            graze = 0.35 + 0.65 * slant * slant * slant
            shine = s.key * highlight(wp.dot(n, half_key), sharp) * lit
            shine += s.fill * highlight(wp.dot(n, half_fill), sharp)
            colour = wp.cw_mul(albedo, light) * dim + shine * (gloss * graze * dim)
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
